// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// Bounds of what is taken from metrics: endpoints, and bytes from each.
const (
	maxEndpoints   = 1024
	maxMetrics     = 32 << 20
	scrapesAtOnce  = 8
	discoveryEvery = 30 * time.Second
	servicesPath   = "/services.json"
	// zeekctl's MetricsPort, of its manager.
	zeekctlPort = "9991"
)

// scraped is what one endpoint's metrics said.
type scraped struct {
	url     string
	err     error
	at      time.Time
	node    string // Zeek's label
	started time.Time
	rows    map[string]float64 // by path, written in this node
	written map[string]float64 // of a logger outside Zeek
	drops   float64
	logs    bool // it has received log batches
	broker  bool // it has forwarded
	manager bool // it has /services.json
}

// scraper reads metrics endpoints over and over. Its goroutine is run's.
type scraper struct {
	client *http.Client
	given  []string // URLs, as the user gave them
	guess  string   // a services.json that may not be there

	found   []string // by discovery
	manager string   // the endpoint that the discovery came from
	when    time.Time
	problem error

	mutex     sync.Mutex
	last, was map[string]*scraped
	trouble   error
}

// newScraper takes the values of --metrics.
func newScraper(given []string, o *options.Options) (*scraper, error) {
	s := &scraper{last: map[string]*scraped{}, was: map[string]*scraped{}}
	s.client = &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 1, MaxIdleConns: 256, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("redirected")
		},
	}
	if slices.Contains(given, "none") {
		if len(given) > 1 {
			return nil, usagef("--metrics none is given together with others")
		}
		return nil, nil
	}
	for _, g := range given {
		u, err := metricsURL(g)
		if err != nil {
			return nil, usagef("--metrics %q: %w", g, err)
		}
		s.given = append(s.given, u)
	}
	if len(given) == 0 {
		_, address, _ := strings.Cut(o.ConnectXSubEndpoint, "://")
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, nil
		}
		s.guess = "http://" + net.JoinHostPort(host, zeekctlPort) + servicesPath
	}
	return s, nil
}

// metricsURL takes http://host:port/metrics, and shorter forms of it.
func metricsURL(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("is no URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", errors.New("must be http://HOST:PORT/metrics, http://HOST:PORT/services.json, or HOST:PORT")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/metrics"
	}
	return u.String(), nil
}

// run reads until the context ends.
func (s *scraper) run(ctx context.Context, every time.Duration) {
	defer s.client.CloseIdleConnections()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.once(ctx, min(max(every, time.Second), 5*time.Second))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once reads all endpoints, within a time.
func (s *scraper) once(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	s.discover(ctx)
	endpoints := append([]string(nil), s.found...)
	for _, u := range s.given {
		if !strings.HasSuffix(u, servicesPath) && !slices.Contains(endpoints, u) {
			endpoints = append(endpoints, u)
		}
	}
	results := make([]*scraped, len(endpoints))
	room := make(chan struct{}, scrapesAtOnce)
	var group sync.WaitGroup
	for i, u := range endpoints {
		room <- struct{}{}
		group.Add(1)
		go func() {
			defer group.Done()
			results[i] = s.scrape(ctx, u)
			<-room
		}()
	}
	group.Wait()

	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.trouble = s.problem
	for u := range s.last {
		if !slices.Contains(endpoints, u) {
			delete(s.last, u)
			delete(s.was, u)
		}
	}
	for _, r := range results {
		r.manager = r.url == s.manager
		s.was[r.url] = s.last[r.url]
		s.last[r.url] = r
	}
}

// discover asks the manager for the nodes' endpoints, now and then.
func (s *scraper) discover(ctx context.Context) {
	if time.Since(s.when) < discoveryEvery {
		return
	}
	s.found, s.problem, s.manager = nil, nil, ""
	from := []string{}
	for _, u := range s.given {
		if strings.HasSuffix(u, servicesPath) {
			from = append(from, u)
		}
	}
	if s.guess != "" {
		from = append(from, s.guess)
	}
	for _, u := range from {
		targets, err := s.services(ctx, u)
		if err != nil {
			if s.problem = fmt.Errorf("%s: %w", u, err); s.guess != "" {
				s.problem = fmt.Errorf("there are no metrics at %s (see --metrics)", u)
			}
			continue
		}
		s.when = time.Now()
		own := strings.TrimSuffix(u, servicesPath) + "/metrics"
		for _, t := range targets {
			if endpoint, err := metricsURL(t); err == nil && len(s.found) < maxEndpoints && !slices.Contains(s.found, endpoint) {
				s.found = append(s.found, endpoint)
			}
		}
		if slices.Contains(s.found, own) {
			s.manager = own
		}
	}
}

// services reads a file for Prometheus's HTTP service discovery.
func (s *scraper) services(ctx context.Context, u string) ([]string, error) {
	var groups []struct{ Targets []string }
	err := s.get(ctx, u, func(r io.Reader) error { return json.NewDecoder(r).Decode(&groups) })
	var targets []string
	for _, g := range groups {
		targets = append(targets, g.Targets...)
	}
	return targets, err
}

func (s *scraper) get(ctx context.Context, u string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("no answer in time")
		}
		return cause(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %d", resp.StatusCode)
	}
	return read(io.LimitReader(resp.Body, maxMetrics))
}

func (s *scraper) scrape(ctx context.Context, u string) (r *scraped) {
	r = &scraped{url: u, rows: map[string]float64{}, written: map[string]float64{}}
	defer func() {
		if v := recover(); v != nil {
			r.err = fmt.Errorf("panic: %v", v)
		}
	}()
	r.err = s.get(ctx, u, func(body io.Reader) error {
		r.at = time.Now()
		return readMetrics(body, r.take)
	})
	return r
}

// take takes a sample that top shows.
func (r *scraped) take(name string, labels map[string]string, value float64) {
	if n := labels["node"]; n != "" {
		r.node = n
	}
	switch name {
	case "process_start_time_seconds":
		if value > 0 && value < 1<<33 {
			r.started = time.UnixMilli(int64(value * 1000))
		}
	case "zeek_log_writer_writes_total":
		r.rows[labels["path"]] += value
	case "zeek_cluster_zeromq_logger_rows_written_total":
		r.written[labels["path"]] += value
	case "zeek_cluster_zeromq_xpub_drops_total", "zeek_cluster_zeromq_onloop_drops_total", "zeek_cluster_zeromq_log_drops_total",
		"zeek_cluster_zeromq_queue_drops_total":
		r.drops += value
	case "zeek_cluster_zeromq_log_batches_received_total":
		r.logs = r.logs || value > 0
	case "zeek_cluster_zeromq_proxy_frontend_messages_received_total":
		r.broker = r.broker || value > 0
	}
}

// readMetrics reads Prometheus's text format. What it does not understand it
// passes over.
func readMetrics(from io.Reader, sample func(name string, labels map[string]string, value float64)) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		end := strings.IndexAny(line, "{ \t")
		if end <= 0 || line[0] == '#' {
			continue
		}
		name, rest := line[:end], line[end:]
		labels := map[string]string{}
		if rest[0] == '{' {
			var ok bool
			if rest, ok = readLabels(rest[1:], labels); !ok {
				continue
			}
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		if v, err := strconv.ParseFloat(fields[0], 64); err == nil && v == v {
			sample(name, labels, v)
		}
	}
	return lines.Err()
}

// readLabels reads labels up to the closing brace, and returns what follows it.
func readLabels(s string, into map[string]string) (rest string, ok bool) {
	for {
		s = strings.TrimLeft(s, ", \t")
		if rest, ok := strings.CutPrefix(s, "}"); ok {
			return rest, true
		}
		name, after, found := strings.Cut(s, "=")
		if !found || !strings.HasPrefix(after, `"`) {
			return "", false
		}
		var value strings.Builder
		i := 1
		for ; i < len(after) && after[i] != '"'; i++ {
			c := after[i]
			if c == '\\' && i+1 < len(after) {
				if i++; after[i] == 'n' {
					c = '\n'
				} else {
					c = after[i]
				}
			}
			value.WriteByte(c)
		}
		if i == len(after) {
			return "", false
		}
		into[strings.TrimSpace(name)] = value.String()
		s = after[i+1:]
	}
}

// logRate is what is written to a log.
type logRate struct {
	Path       string  `json:"path"`
	Rows       float64 `json:"rows"`
	RowsPerSec float64 `json:"rows_per_s"`
}

// metrics is what the endpoints say together.
type metrics struct {
	Endpoints []metricsEndpoint `json:"endpoints"`
	Problem   string            `json:"problem,omitempty"`
	logs      map[string]*logRate
	written   map[string]*logRate
	nodes     map[string]nodeMetrics // by name
}

type metricsEndpoint struct {
	URL   string `json:"url"`
	Node  string `json:"node,omitempty"`
	Error string `json:"error,omitempty"`
}

type nodeMetrics struct {
	started         time.Time
	role            string
	broker          bool
	drops           float64
	rows, rowsPerSc float64
}

// now returns what is known. A nil scraper knows nothing.
func (s *scraper) now() metrics {
	m := metrics{Endpoints: []metricsEndpoint{}, logs: map[string]*logRate{}, written: map[string]*logRate{}, nodes: map[string]nodeMetrics{}}
	if s == nil {
		return m
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.trouble != nil {
		m.Problem = s.trouble.Error()
	}
	for u, r := range s.last {
		e := metricsEndpoint{URL: u, Node: r.node}
		if r.err != nil {
			e.Error = r.err.Error()
			m.Endpoints = append(m.Endpoints, e)
			continue
		}
		m.Endpoints = append(m.Endpoints, e)
		node := nodeMetrics{started: r.started, drops: r.drops, broker: r.broker}
		switch {
		case r.manager:
			node.role = "manager"
		case r.logs:
			node.role = "logger"
		}
		was := s.was[u]
		if was != nil && (was.err != nil || !was.started.Equal(r.started)) {
			was = nil // another process
		}
		add := func(to map[string]*logRate, now map[string]float64, before func(*scraped) map[string]float64) (rows, perSec float64) {
			for path, n := range now {
				l := to[path]
				if l == nil {
					l = &logRate{Path: path}
					to[path] = l
				}
				l.Rows += n
				rows += n
				if was != nil {
					if d := n - before(was)[path]; d >= 0 {
						d /= max(r.at.Sub(was.at).Seconds(), 1e-3)
						l.RowsPerSec += d
						perSec += d
					}
				}
			}
			return rows, perSec
		}
		node.rows, node.rowsPerSc = add(m.logs, r.rows, func(s *scraped) map[string]float64 { return s.rows })
		add(m.written, r.written, func(s *scraped) map[string]float64 { return s.written })
		if r.node != "" {
			m.nodes[r.node] = node
		}
	}
	slices.SortFunc(m.Endpoints, func(a, b metricsEndpoint) int { return strings.Compare(a.URL, b.URL) })
	return m
}
