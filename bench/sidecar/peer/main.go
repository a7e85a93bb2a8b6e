// The peer of the proxy benchmark, and the two ends that both proxies stand between, in one small program:
//
//	peer target SERIES     a target with so many series; prints its port
//	peer proxy             what a Kvass sidecar does to each scrape, done with Prometheus's own parser; prints its port
//	peer load URL PROXY CONNECTIONS SECONDS
//	                       asks for URL through PROXY ("" for none) as fast as it can; prints one JSON line
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/prometheus/prometheus/model/textparse"
)

const contentType = "text/plain; version=0.0.4; charset=utf-8"

func main() {
	switch os.Args[1] {
	case "target":
		series, err := strconv.Atoi(os.Args[2])
		check(err)
		serve(target(series))
	case "proxy":
		serve(proxy())
	case "load":
		connections, err := strconv.Atoi(os.Args[4])
		check(err)
		seconds, err := strconv.ParseFloat(os.Args[5], 64)
		check(err)
		load(os.Args[2], os.Args[3], connections, time.Duration(seconds*float64(time.Second)))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func serve(handler http.Handler) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	check(http.Serve(listener, handler))
}

// target serves bodies that differ in their values from one scrape to the next.
func target(series int) http.Handler {
	var bodies [4][]byte
	for variant := range bodies {
		var body strings.Builder
		for i := range series {
			if i%100 == 0 {
				fmt.Fprintf(&body, "# HELP requests_%d_total Requests served.\n# TYPE requests_%d_total counter\n", i/100, i/100)
			}
			fmt.Fprintf(&body, "requests_%d_total{method=\"GET\",code=\"%d\",handler=\"/api/v1/resource/%d\",pod=\"backend-%d\"} %d\n",
				i/100, 200+i%3, i%100, i%7, i*17%9973+variant*(i%13))
		}
		bodies[variant] = []byte(body.String())
	}
	var scrapes int
	var mutex sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mutex.Lock()
		scrapes++
		body := bodies[scrapes%len(bodies)]
		mutex.Unlock()
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
}

type metricCount struct{ total, scraped int }

// proxy asks the target, passes the body on, and counts the series of each metric that relabelling keeps.
func proxy() http.Handler {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000, DisableCompression: true}}
	var rules []*relabel.Config
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := *r.URL
		query := asked.Query()
		for _, name := range []string{"_hash", "_jobName", "_scheme"} {
			query.Del(name)
		}
		asked.RawQuery = query.Encode()
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, asked.String(), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		request.Header.Set("Accept", r.Header.Get("Accept"))
		response, err := client.Do(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		body, err := io.ReadAll(io.TeeReader(response.Body, w))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := count(body, response.Header.Get("Content-Type"), rules); err != nil {
			log.Print(err)
		}
	})
}

func count(body []byte, contentType string, rules []*relabel.Config) (map[string]*metricCount, error) {
	parser := textparse.NewPromParser(body, labels.NewSymbolTable(), false)
	metrics := map[string]*metricCount{}
	var lset labels.Labels
	builder := labels.NewBuilder(lset)
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return metrics, nil
		}
		if err != nil {
			return nil, err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		parser.Labels(&lset)
		name := lset.Get(labels.MetricName)
		known := metrics[name]
		if known == nil {
			known = &metricCount{}
			metrics[name] = known
		}
		known.total++
		builder.Reset(lset)
		if relabel.ProcessBuilder(builder, rules...) {
			known.scraped++
		}
	}
}

func load(target, through string, connections int, duration time.Duration) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}
	if through != "" {
		proxyURL, err := url.Parse(through)
		check(err)
		transport.Proxy = http.ProxyURL(proxyURL)
	}
	client := &http.Client{Transport: transport}
	once := func() (int64, error) {
		response, err := client.Get(target)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("status %s", response.Status)
		}
		return io.Copy(io.Discard, response.Body)
	}
	var mutex sync.Mutex
	var group sync.WaitGroup
	var bytes int64
	var times []float64
	end := time.Now().Add(duration)
	started := time.Now()
	for range connections {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Now().Before(end) {
				before := time.Now()
				size, err := once()
				check(err)
				took := time.Since(before).Seconds() * 1000
				mutex.Lock()
				bytes += size
				times = append(times, took)
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	seconds := time.Since(started).Seconds()
	sort.Float64s(times)
	check(json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"requestsPerSecond":  float64(len(times)) / seconds,
		"megabytesPerSecond": float64(bytes) / seconds / 1e6,
		"p50Ms":              times[len(times)/2],
		"p99Ms":              times[len(times)*99/100],
	}))
}
