// Makes ../regex-unicode.gen.ts (`go run unicode-tables.go classes`) and the runs in ../regex-folds.as (`… folds`) from the
// Unicode of Go, which is 15.0 in Go 1.21 to 1.26.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"
	"unicode"
)

func main() {
	if os.Args[1] == "folds" {
		folds()
	} else {
		classes()
	}
}

// classes prints names with their sizes or what they stand for, and the members of all that have a size, one after the
// other: how far each end of a range is from the one before.
func classes() {
	var names []string
	var members []byte
	add := func(name string, table *unicode.RangeTable) {
		bytes := encode(table)
		names = append(names, fmt.Sprintf("%s %d", name, len(bytes)))
		members = append(members, bytes...)
	}
	add("Any", &unicode.RangeTable{R32: []unicode.Range32{{Lo: 0, Hi: unicode.MaxRune, Stride: 1}}})
	add("Ascii", &unicode.RangeTable{R32: []unicode.Range32{{Lo: 0, Hi: 127, Stride: 1}}})
	add("Assigned", &unicode.RangeTable{R32: assigned()})
	for _, tables := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts} {
		for _, name := range sorted(tables) {
			add(name, tables[name])
		}
	}
	names = append(names, "Lc LC")
	for _, alias := range sorted(unicode.CategoryAliases) {
		plain := strings.ReplaceAll(alias, "_", "")
		canonical := strings.ToUpper(plain[:1]) + strings.ToLower(plain[1:])
		if unicode.Categories[canonical] == nil && unicode.Scripts[canonical] == nil {
			names = append(names, canonical+" "+unicode.CategoryAliases[alias])
		}
	}
	fmt.Println("/** The classes of Unicode " + unicode.Version + ", which is Go's. Written by testdata/unicode-tables.go. */")
	fmt.Printf("export const CLASS_NAMES =\n  %q;\n", strings.Join(names, ","))
	fmt.Printf("export const CLASS_MEMBERS =\n  %q;\n", base64.StdEncoding.EncodeToString(members))
}

func encode(table *unicode.RangeTable) []byte {
	var bytes []byte
	last := 0
	for code := 0; code <= unicode.MaxRune+1; code++ {
		if isIn(table, code) != isIn(table, code-1) {
			bytes = binary.AppendUvarint(bytes, uint64(code-last))
			last = code
		}
	}
	return bytes
}

func isIn(table *unicode.RangeTable, code int) bool {
	return code >= 0 && code <= unicode.MaxRune && unicode.Is(table, rune(code))
}

// assigned is what regexp has for \p{Assigned}.
func assigned() []unicode.Range32 {
	any := regexp.MustCompile(`^\p{Assigned}$`)
	var ranges []unicode.Range32
	for code := uint32(0); code <= unicode.MaxRune; code++ {
		isAssigned := any.MatchString(string(rune(code)))
		if code >= 0xd800 && code <= 0xdfff {
			isAssigned = true
		}
		if isAssigned {
			ranges = append(ranges, unicode.Range32{Lo: code, Hi: code, Stride: 1})
		}
	}
	return ranges
}

func sorted[V any](all map[string]V) []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// folds prints runs of characters, from one to the next, and how far away another one that differs in case only is.
func folds() {
	type run struct{ from, to, stride, delta int }
	byDelta := map[int][]int{}
	for code := 0; code <= unicode.MaxRune; code++ {
		for other := unicode.SimpleFold(rune(code)); int(other) != code; other = unicode.SimpleFold(other) {
			byDelta[int(other)-code] = append(byDelta[int(other)-code], code)
		}
	}
	var runs []run
	for delta, codes := range byDelta {
		for i := 0; i < len(codes); {
			j, stride := i, 1
			if i+1 < len(codes) {
				if codes[i+1]-codes[i] == 2 {
					stride = 2
				}
				for j+1 < len(codes) && codes[j+1]-codes[j] == stride {
					j++
				}
			}
			runs = append(runs, run{codes[i], codes[j], stride, delta})
			i = j + 1
		}
	}
	sort.Slice(runs, func(i, j int) bool {
		if runs[i].from != runs[j].from {
			return runs[i].from < runs[j].from
		}
		return runs[i].delta < runs[j].delta
	})
	for _, run := range runs {
		fmt.Printf("%d, %d, %d, %d,\n", run.from, run.to, run.stride, run.delta)
	}
}
