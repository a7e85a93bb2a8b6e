// The peer of the database's benchmarks: Prometheus's own storage engine, as a small program without the server around
// it. Each command prints one JSON line.
//
//	peer xor FILE CHUNKS SAMPLES    encodes and decodes chunks of the (time, value) columns in FILE
//	peer head SERIES SAMPLES LOG    fills a head; with the write-ahead log in the folder LOG, or without one for ""
//	peer open BLOCK ROUNDS HELD     opens and closes a block, then holds it open so many times
//	peer merge FOLDER BLOCK...      merges blocks into one in FOLDER
//	peer postings FILE FILE         intersects two lists of refs (int32, little-endian)
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

const (
	rounds = 15
	// What one scrape brings.
	scrapeSamples = 10_000
	stepMs        = 15_000
	startMs       = 1_700_006_400_000
)

var logger = slog.New(slog.NewTextHandler(io.Discard, nil))

func main() {
	// As the server sets it.
	debug.SetGCPercent(75)
	switch os.Args[1] {
	case "xor":
		xor(os.Args[2], number(3), number(4))
	case "head":
		head(number(2), number(3), os.Args[4])
	case "open":
		open(os.Args[2], number(3), number(4))
	case "merge":
		merge(os.Args[2], os.Args[3:])
	case "postings":
		postings(os.Args[2], os.Args[3])
	}
}

func number(i int) int {
	value, err := strconv.Atoi(os.Args[i])
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func say(figures map[string]float64) {
	check(json.NewEncoder(os.Stdout).Encode(figures))
}

func refs(file string) []storage.SeriesRef {
	raw, err := os.ReadFile(file)
	check(err)
	list := make([]storage.SeriesRef, len(raw)/4)
	for i := range list {
		list[i] = storage.SeriesRef(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return list
}

func postings(fileA, fileB string) {
	a, b := refs(fileA), refs(fileB)
	best := math.Inf(1)
	common := 0
	for range rounds {
		started := time.Now()
		found := make([]storage.SeriesRef, 0, min(len(a), len(b)))
		both := index.Intersect(index.NewListPostings(a), index.NewListPostings(b))
		for both.Next() {
			found = append(found, both.At())
		}
		check(both.Err())
		best = min(best, time.Since(started).Seconds()*1e3)
		common = len(found)
	}
	say(map[string]float64{"ms": best, "common": float64(common)})
}

func xor(file string, chunks, samples int) {
	raw, err := os.ReadFile(file)
	check(err)
	count := chunks * samples
	column := func(from int) []float64 {
		values := make([]float64, count)
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*(from+i):]))
		}
		return values
	}
	floats, values := column(0), column(count)
	times := make([]int64, count)
	for i, t := range floats {
		times[i] = int64(t)
	}
	encoded := make([]*chunkenc.XORChunk, chunks)
	perSample := func(run func()) float64 {
		best := math.Inf(1)
		for range rounds {
			start := time.Now()
			run()
			best = min(best, float64(time.Since(start).Nanoseconds())/float64(count))
		}
		return best
	}
	encode := perSample(func() {
		for c := range chunks {
			chunk := chunkenc.NewXORChunk()
			appender, err := chunk.Appender()
			check(err)
			for i := c * samples; i < (c+1)*samples; i++ {
				appender.Append(times[i], values[i])
			}
			encoded[c] = chunk
		}
	})
	var sum float64
	var iterator chunkenc.Iterator
	decode := perSample(func() {
		sum = 0
		for _, chunk := range encoded {
			iterator = chunk.Iterator(iterator)
			for iterator.Next() == chunkenc.ValFloat {
				_, v := iterator.At()
				sum += v
			}
		}
	})
	say(map[string]float64{"encodeNs": encode, "decodeNs": decode, "sum": sum})
}

// The labels and the values of bench/support/head-load.ts.
func labelsOf(i int) labels.Labels {
	pod, k := i/50, i%50
	return labels.FromStrings(
		"__name__", fmt.Sprintf("container_stat_%d", k/5),
		"cluster", "c1",
		"container", fmt.Sprintf("c%d", k%5),
		"instance", fmt.Sprintf("10.0.%d.%d:10250", pod>>8, pod&255),
		"job", "cadvisor",
		"namespace", fmt.Sprintf("ns-%d", pod%200),
		"node", fmt.Sprintf("node-%d", pod%500),
		"pod", fmt.Sprintf("app-%x-%d", uint32(pod)*0x9e3779b1, pod),
		"stat", fmt.Sprintf("stat_%d", k%7),
	)
}

func growth(i, k int) float64 {
	if i%3 == 0 {
		return 0
	}
	return float64((uint32(i*31+k) * 0x9e3779b1) >> 16 % 100)
}

func head(series, samples int, folder string) {
	options := tsdb.DefaultHeadOptions()
	options.ChunkDirRoot = folder
	var wal *wlog.WL
	if folder == "" {
		temporary, err := os.MkdirTemp("", "head-peer-")
		check(err)
		defer os.RemoveAll(temporary)
		options.ChunkDirRoot = temporary
	} else {
		var err error
		wal, err = wlog.NewSize(logger, nil, folder+"/wal", wlog.DefaultSegmentSize, compression.None)
		check(err)
	}
	h, err := tsdb.NewHead(nil, logger, wal, nil, options, nil)
	check(err)
	check(h.Init(startMs))
	baseRss := rss()
	created := cpuSeconds()
	refs := make([]storage.SeriesRef, series)
	values := make([]float64, series)
	appended := 0
	appendSeconds, firstSeconds := 0.0, 0.0
	for k := range samples {
		before := cpuSeconds()
		for from := 0; from < series; from += scrapeSamples {
			appender := h.Appender(context.Background())
			for i := from; i < min(from+scrapeSamples, series); i++ {
				lset := labels.EmptyLabels()
				if k == 0 {
					lset = labelsOf(i)
					values[i] = float64((uint32(i) * 0x9e3779b1) >> 12)
				}
				values[i] += growth(i, k)
				refs[i], err = appender.Append(refs[i], lset, startMs+int64(k)*stepMs, values[i])
				check(err)
				appended++
			}
			check(appender.Commit())
		}
		if k == 0 {
			firstSeconds = cpuSeconds() - created
		} else {
			appendSeconds += cpuSeconds() - before
		}
	}
	asItIs := rssNow()
	full := rss()
	say(map[string]float64{
		"createSeconds": firstSeconds,
		"appendSeconds": appendSeconds,
		"appended":      float64(appended - series),
		"rssBytes":      full - baseRss,
		"rssBusyBytes":  asItIs - baseRss,
	})
	check(h.Close())
}

func open(folder string, n, held int) {
	spent := make([]float64, 0, n)
	for range n {
		start := time.Now()
		block, err := tsdb.OpenBlock(logger, folder, nil, nil)
		check(err)
		spent = append(spent, float64(time.Since(start).Microseconds())/1000)
		check(block.Close())
	}
	slices.Sort(spent)
	before := rss()
	blocks := make([]*tsdb.Block, held)
	for i := range blocks {
		block, err := tsdb.OpenBlock(logger, folder, nil, nil)
		check(err)
		blocks[i] = block
	}
	heldBytes := (rss() - before) / float64(held)
	for _, block := range blocks {
		check(block.Close())
	}
	say(map[string]float64{"openMs": spent[n/2], "heldBytes": heldBytes})
}

func merge(folder string, blocks []string) {
	compactor, err := tsdb.NewLeveledCompactor(
		context.Background(), nil, logger, []int64{7_200_000, 72_000_000}, nil, nil)
	check(err)
	before := cpuSeconds()
	_, err = compactor.Compact(folder, blocks, nil)
	check(err)
	say(map[string]float64{"cpuSeconds": cpuSeconds() - before, "peakRssBytes": statusBytes("VmHWM")})
}

// What is left after all that can be is given back.
func rss() float64 {
	runtime.GC()
	debug.FreeOSMemory()
	return rssNow()
}

func rssNow() float64 { return statusBytes("VmRSS") }

func statusBytes(name string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == name+":" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			check(err)
			return kilobytes * 1024
		}
	}
	log.Fatalf("no %s", name)
	return 0
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
