// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measure is something that can be selected by name. A run of one side gives
// numbers, or an error that says why it does not count.
type measure struct {
	name      string
	what      string
	needsZeek bool
	sides     []string // the other, ours; or ours alone
	pairs     int      // at most; 0: as asked for
	metrics   []metric
	run       func(b *bench, side string) (numbers, error)
}

var inZeek = []string{builtin, plugin}

var sizes = []int{64, 1024, 16384}

func sizeName(n int) string {
	if n >= 1024 {
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%d B", n)
}

var measures = []*measure{
	{name: "publish", what: "what Cluster::publish() costs Zeek's main thread", needsZeek: true, sides: inZeek,
		metrics: publishMetrics(), run: runPublish},
	{name: "one", what: "one worker to the manager, as fast as it goes", needsZeek: true, sides: inZeek,
		metrics: oneMetrics(), run: runOne},
	{name: "four", what: "four workers to the manager", needsZeek: true, sides: inZeek,
		metrics: []metric{{name: "events", unit: "1/s", more: true}, {name: "CPU, all processes", unit: "us/event"}}, run: runFour},
	{name: "broadcast", what: "the manager to eight workers", needsZeek: true, sides: inZeek,
		metrics: []metric{{name: "events, each to eight", unit: "1/s", more: true}, {name: "CPU, all processes", unit: "us/delivery"}},
		run:     runBroadcast},
	{name: "roundtrip", what: "question and answer between a worker and the manager", needsZeek: true, sides: inZeek,
		metrics: roundtripMetrics(), run: runRoundtrip},
	{name: "logs", what: "log rows of two workers to one logger's file", needsZeek: true, sides: inZeek,
		metrics: logMetrics(&goal{ratio, 1.2}), run: func(b *bench, side string) (numbers, error) { return runLogs(b, side, 1) }},
	{name: "logs2", what: "log rows of two workers to two loggers' files", needsZeek: true, sides: inZeek,
		metrics: logMetrics(nil), run: func(b *bench, side string) (numbers, error) { return runLogs(b, side, 2) }},
	{name: "broker", what: "the engine's broker against zmq_proxy()", sides: []string{"zmq_proxy", "broker"},
		metrics: brokerMetrics(), run: runBroker},
	{name: "nodes", what: "the manager to all others, in clusters of 2 to 32 nodes", needsZeek: true, sides: inZeek, pairs: 3,
		metrics: nodesMetrics(), run: runNodes},
	{name: "subscriptions", what: "one worker to the manager, which has so many subscriptions", needsZeek: true, sides: inZeek, pairs: 3,
		metrics: subscriptionMetrics(), run: runSubscriptions},
	{name: "memory", what: "what a node holds beyond a Zeek without a cluster", needsZeek: true, sides: inZeek,
		metrics: memoryMetrics(), run: runMemory},
	{name: "startup", what: "a Zeek that ends at once, with and without the plugin", needsZeek: true, sides: []string{bare, plugin},
		metrics: []metric{{name: "wall", unit: "ms", goal: &goal{difference, 30}}, {name: "CPU", unit: "ms"}}, run: runStartup},
	{name: "engine", what: "two C programs on the engine, against plain libzmq and zmq_proxy()", sides: []string{"plain", "engine"},
		metrics: engineMetrics(), run: runEngine},
	{name: "flat", what: "memory over bursts, slow consumers and an idle minute", sides: []string{"engine"}, pairs: 1,
		metrics: []metric{{name: "highest", unit: "MiB"}, {name: "growth, third to last quarter of it", unit: "MiB", goal: &goal{ours, 4}},
			{name: "growth, idle", unit: "MiB", goal: &goal{ours, 1}}}, run: runFlat},
}

// ---- publish ----

type burst struct {
	heard bool
	size  int
	count int
}

func bursts() (list []burst) {
	for _, heard := range []bool{true, false} {
		for i, size := range sizes {
			list = append(list, burst{heard, size, []int{20000, 10000, 1000}[i]})
		}
	}
	return list
}

func (x burst) name(what string) string {
	heard := "one subscriber"
	if !x.heard {
		heard = "no subscriber"
	}
	return fmt.Sprintf("%s, %s, %s", what, sizeName(x.size), heard)
}

func publishMetrics() (list []metric) {
	for _, x := range bursts() {
		wall := metric{name: x.name("wall"), unit: "us/event"}
		if x.heard && x.size == 64 {
			wall.goal = &goal{ratio, 0.35}
		}
		list = append(list, wall, metric{name: x.name("CPU"), unit: "us/event"})
	}
	return list
}

// repeats of each burst in one run, of which the median counts.
const repeats = 5

func runPublish(b *bench, side string) (numbers, error) {
	vars := map[string]any{}
	var steps []burst
	for i := 0; i < repeats; i++ {
		for _, x := range bursts() {
			x.count = b.scaled(x.count)
			steps = append(steps, x)
			n := len(steps)
			vars[fmt.Sprintf("COUNT_%d", n)] = x.count
			vars[fmt.Sprintf("SIZE_%d", n)] = x.size
			vars[fmt.Sprintf("TOPIC_%d", n)] = map[bool]string{true: "bench.heard.", false: "bench.unheard."}[x.heard]
		}
	}
	c, err := b.zeekCluster(side, "publish", false, names("worker", 1), vars)
	if err != nil {
		return nil, err
	}
	defer c.end()

	worker := c.others[0]
	wall, used := map[string][]float64{}, map[string][]float64{}
	heard := 0
	for i, x := range steps {
		b.settle(50 * time.Millisecond)
		before := worker.mainCPU()
		if err := worker.goOn(i + 1); err != nil {
			return nil, err
		}
		v, err := worker.awaitNumbers(b, 1, "burst", strconv.Itoa(i+1))
		if err != nil {
			return nil, err
		}
		b.settle(5 * time.Millisecond)
		n := float64(x.count)
		wall[x.name("wall")] = append(wall[x.name("wall")], v[0]*1e6/n)
		used[x.name("CPU")] = append(used[x.name("CPU")], (worker.mainCPU()-before)*1e6/n)
		if x.heard {
			heard += x.count
			if _, err := c.manager.await(b, "received", strconv.Itoa(heard)); err != nil {
				return nil, fmt.Errorf("events were lost: %w", err)
			}
		}
	}
	r := numbers{}
	for _, m := range []map[string][]float64{wall, used} {
		for name, v := range m {
			r[name] = percentile(v, 50)
		}
	}
	return r, nil
}

// ---- Throughput of events ----

// flow has a cluster send count events of a size and waits until all came.
type flowResult struct{ seconds, cpu float64 }

func (c *cluster) flow(step int, senders, receivers []*proc) (f flowResult, err error) {
	s := strconv.Itoa(step)
	for _, p := range receivers {
		if err := p.goOn(step); err != nil {
			return f, err
		}
	}
	for _, p := range receivers {
		if _, err := p.await(c.b, "prepared", s); err != nil {
			return f, err
		}
	}
	before := cpu(c.all...)
	for _, p := range senders {
		if err := p.goOn(step); err != nil {
			return f, err
		}
	}
	first, last := 0.0, 0.0
	for _, p := range senders {
		v, err := p.awaitNumbers(c.b, 1, "start", s)
		if err != nil {
			return f, err
		}
		if first == 0 || v[0] < first {
			first = v[0]
		}
	}
	for _, p := range receivers {
		v, err := p.awaitNumbers(c.b, 1, "received", s)
		if err != nil {
			return f, fmt.Errorf("events were lost: %w", err)
		}
		last = max(last, v[0])
	}
	return flowResult{last - first, cpu(c.all...) - before}, nil
}

func (b *bench) eventVars(senders, receivers string, senderCount int, counts, sizes []int) map[string]any {
	v := map[string]any{"SENDERS": senders, "RECEIVERS": receivers, "SENDER_COUNT": senderCount}
	for i := range counts {
		v[fmt.Sprintf("COUNT_%d", i+1)] = counts[i]
		v[fmt.Sprintf("SIZE_%d", i+1)] = sizes[i]
	}
	return v
}

func oneMetrics() (list []metric) {
	for _, size := range sizes {
		rate := metric{name: "events, " + sizeName(size), unit: "1/s", more: true}
		used := metric{name: "CPU, all processes, " + sizeName(size), unit: "us/event"}
		if size == 64 {
			rate.goal, used.goal = &goal{ratio, 2.2}, &goal{ratio, 0.45}
		}
		list = append(list, rate, used)
	}
	return append(list, metric{name: "cluster start to both up", unit: "ms"})
}

func runOne(b *bench, side string) (numbers, error) {
	counts := []int{b.scaled(300000), b.scaled(50000), b.scaled(3000)}
	start := time.Now()
	c, err := b.zeekCluster(side, "events", false, names("worker", 1), b.eventVars("worker", "manager", 1, counts, sizes))
	if err != nil {
		return nil, err
	}
	defer c.end()
	r := numbers{"cluster start to both up": time.Since(start).Seconds() * 1000}
	for i, size := range sizes {
		f, err := c.flow(i+1, c.others, []*proc{c.manager})
		if err != nil {
			return nil, err
		}
		r["events, "+sizeName(size)] = float64(counts[i]) / f.seconds
		r["CPU, all processes, "+sizeName(size)] = f.cpu * 1e6 / float64(counts[i])
	}
	return r, nil
}

func runFour(b *bench, side string) (numbers, error) {
	const workers = 4
	n := b.scaled(75000)
	c, err := b.zeekCluster(side, "events", false, names("worker", workers), b.eventVars("worker", "manager", workers, []int{n}, []int{64}))
	if err != nil {
		return nil, err
	}
	defer c.end()
	f, err := c.flow(1, c.others, []*proc{c.manager})
	if err != nil {
		return nil, err
	}
	return numbers{"events": float64(workers*n) / f.seconds, "CPU, all processes": f.cpu * 1e6 / float64(workers*n)}, nil
}

func runBroadcast(b *bench, side string) (numbers, error) {
	const workers = 8
	n := b.scaled(40000)
	c, err := b.zeekCluster(side, "events", false, names("worker", workers), b.eventVars("manager", "worker", 1, []int{n}, []int{64}))
	if err != nil {
		return nil, err
	}
	defer c.end()
	f, err := c.flow(1, []*proc{c.manager}, c.others)
	if err != nil {
		return nil, err
	}
	return numbers{"events, each to eight": float64(n) / f.seconds, "CPU, all processes": f.cpu * 1e6 / float64(workers*n)}, nil
}

var clusterSizes = []int{2, 8, 32}

func nodesMetrics() (list []metric) {
	for _, n := range clusterSizes {
		list = append(list, metric{name: fmt.Sprintf("CPU, all processes, %d nodes", n), unit: "us/delivery"},
			metric{name: fmt.Sprintf("CPU at rest, %d nodes", n), unit: "ms/s for each"})
	}
	return list
}

func runNodes(b *bench, side string) (numbers, error) {
	r := numbers{}
	for _, n := range clusterSizes {
		if *flagTiny && n > 8 {
			continue
		}
		deliveries := b.scaled(100000)
		count := max(100, deliveries/(n-1))
		c, err := b.zeekCluster(side, "events", false, names("worker", n-1), b.eventVars("manager", "worker", 1, []int{count}, []int{64}))
		if err != nil {
			return nil, err
		}
		f, err := c.flow(1, []*proc{c.manager}, c.others)
		if err == nil {
			// All wait for the file that lets them go on, as they do on either side.
			before, start := cpu(c.all...), time.Now()
			b.settle(time.Second)
			rest := (cpu(c.all...) - before) / time.Since(start).Seconds()
			r[fmt.Sprintf("CPU, all processes, %d nodes", n)] = f.cpu * 1e6 / float64(count*(n-1))
			r[fmt.Sprintf("CPU at rest, %d nodes", n)] = rest * 1000 / float64(n)
		}
		c.end()
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

var subscriptionCounts = []int{10, 100, 1000, 10000}

func subscriptionMetrics() (list []metric) {
	for _, n := range subscriptionCounts {
		list = append(list, metric{name: fmt.Sprintf("CPU, all processes, %d subscriptions", n), unit: "us/event"})
	}
	return list
}

func runSubscriptions(b *bench, side string) (numbers, error) {
	r := numbers{}
	for _, n := range subscriptionCounts {
		if *flagTiny && n > 100 {
			continue
		}
		count := b.scaled(100000)
		vars := b.eventVars("worker", "manager", 1, []int{count}, []int{64})
		vars["TOPICS"] = n
		c, err := b.zeekCluster(side, "events", false, names("worker", 1), vars)
		if err != nil {
			return nil, err
		}
		var f flowResult
		// Built-in nodes may lose subscriptions, which then never come.
		if _, err = c.others[0].awaitWithin(b, 20*time.Second, "topics"); err == nil {
			f, err = c.flow(1, c.others, []*proc{c.manager})
		}
		c.end()
		if err != nil {
			return nil, fmt.Errorf("%d subscriptions: %w", n, err)
		}
		r[fmt.Sprintf("CPU, all processes, %d subscriptions", n)] = f.cpu * 1e6 / float64(count)
	}
	return r, nil
}

// ---- roundtrip ----

// rates, in questions a second, and how many of them.
var rates = []struct{ rate, count int }{{1, 6}, {100, 400}, {10000, 30000}}

var percentiles = []float64{50, 99, 99.9}

// roundtripName: too few samples have no high percentiles.
func roundtripName(rate int, p float64) string {
	return fmt.Sprintf("p%g at %d/s", p, rate)
}

func roundtripMetrics() (list []metric) {
	for _, x := range rates {
		for _, p := range percentiles {
			m := metric{name: roundtripName(x.rate, p), unit: "us"}
			if x.rate > 1 && p < 99.9 {
				m.goal = &goal{ratio, 0.6}
			}
			list = append(list, m)
		}
	}
	return list
}

// addPercentiles reads a file of times. A percentile needs some samples beyond it.
func addPercentiles(r numbers, path string, rate int) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var times []float64
	for _, l := range strings.Fields(string(text)) {
		v, err := strconv.ParseFloat(l, 64)
		if err != nil {
			return fmt.Errorf("%s: %v", path, err)
		}
		times = append(times, v)
	}
	for _, p := range percentiles {
		if p == 50 || float64(len(times))*(100-p)/100 >= 3 {
			r[roundtripName(rate, p)] = percentile(times, p)
		}
	}
	return nil
}

func runRoundtrip(b *bench, side string) (numbers, error) {
	vars := map[string]any{}
	for i, x := range rates {
		vars[fmt.Sprintf("RATE_%d", i+1)] = x.rate
		vars[fmt.Sprintf("COUNT_%d", i+1)] = x.count
		if x.rate > 1 {
			vars[fmt.Sprintf("COUNT_%d", i+1)] = b.scaled(x.count)
		} else if *flagTiny {
			vars[fmt.Sprintf("COUNT_%d", i+1)] = 1
		}
	}
	c, err := b.zeekCluster(side, "roundtrip", false, names("worker", 1), vars)
	if err != nil {
		return nil, err
	}
	defer c.end()
	r := numbers{}
	worker := c.others[0]
	for i, x := range rates {
		if err := worker.goOn(i + 1); err != nil {
			return nil, err
		}
		if _, err := worker.await(b, "answered", strconv.Itoa(i+1)); err != nil {
			return nil, fmt.Errorf("answers were lost: %w", err)
		}
		if err := addPercentiles(r, filepath.Join(worker.dir, fmt.Sprintf("times-%d", i+1)), x.rate); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// ---- logs ----

func logMetrics(g *goal) []metric {
	return []metric{{name: "rows", unit: "1/s", more: true, goal: g}, {name: "CPU, all processes", unit: "us/row"}}
}

// lineCounter counts the lines of a file that grows.
type lineCounter struct {
	path  string
	file  *os.File
	lines int
}

func (l *lineCounter) update() int {
	if l.file == nil {
		l.file, _ = os.Open(l.path)
	}
	if l.file != nil {
		buf := make([]byte, 1<<20)
		for {
			n, _ := l.file.Read(buf)
			if n == 0 {
				break
			}
			for _, c := range buf[:n] {
				if c == '\n' {
					l.lines++
				}
			}
		}
	}
	return l.lines
}

func runLogs(b *bench, side string, loggers int) (numbers, error) {
	const workers = 2
	n := b.scaled(300000)
	c, err := b.zeekCluster(side, "logs", false, append(names("logger", loggers), names("worker", workers)...), map[string]any{"COUNT_1": n})
	if err != nil {
		return nil, err
	}
	defer c.end()
	var files []*lineCounter
	var senders []*proc
	for _, p := range c.others {
		if strings.HasPrefix(p.name, "logger") {
			files = append(files, &lineCounter{path: filepath.Join(p.dir, "bench.log")})
		} else {
			senders = append(senders, p)
		}
	}
	b.settle(100 * time.Millisecond) // the connections to the loggers
	before := cpu(c.all...)
	for _, p := range senders {
		if err := p.goOn(1); err != nil {
			return nil, err
		}
	}
	first := 0.0
	for _, p := range senders {
		v, err := p.awaitNumbers(b, 1, "start", "1")
		if err != nil {
			return nil, err
		}
		if first == 0 || v[0] < first {
			first = v[0]
		}
	}
	for deadline, rows := time.Now().Add(patience), 0; rows < workers*n; {
		b.settle(10 * time.Millisecond)
		rows = 0
		for _, f := range files {
			rows += f.update()
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			return nil, fmt.Errorf("rows were lost: %d of %d came; %s", rows, workers*n, c.others[0].lastError())
		}
	}
	took := float64(time.Now().UnixNano())/1e9 - first
	rows := float64(workers * n)
	return numbers{"rows": rows / took, "CPU, all processes": (cpu(c.all...) - before) * 1e6 / rows}, nil
}

// ---- memory ----

func memoryMetrics() []metric {
	return []metric{
		{name: "worker at rest, over a bare Zeek", unit: "MiB", goal: &goal{ours, 12}},
		{name: "worker at rest, threads more", unit: ""},
		{name: "worker at rest, descriptors more", unit: ""},
		{name: "manager with broker at rest, over a bare Zeek", unit: "MiB"},
		{name: "worker after 10,000 round trips/s, over a bare Zeek", unit: "MiB"},
		{name: "manager after 10,000 round trips/s, over a bare Zeek", unit: "MiB"},
	}
}

func runMemory(b *bench, side string) (numbers, error) {
	b.runs++
	lone, err := b.start("bare", filepath.Join(b.work, fmt.Sprintf("%03d-bare", b.runs)), zeekEnv(bare), b.zeek, filepath.Join(*flagScripts, "bare.zeek"))
	if err != nil {
		return nil, err
	}
	defer terminate(lone)
	if _, err := lone.await(b, "up"); err != nil {
		return nil, err
	}
	c, err := b.zeekCluster(side, "roundtrip", true, names("worker", 1),
		map[string]any{"RATE_1": 10000, "COUNT_1": b.scaled(30000)})
	if err != nil {
		return nil, err
	}
	defer c.end()
	b.settle(2 * time.Second)
	worker := c.others[0]
	floor, w, m := lone.memory(), worker.memory(), c.manager.memory()
	r := numbers{
		"worker at rest, over a bare Zeek":              w.residentMiB - floor.residentMiB,
		"worker at rest, threads more":                  float64(w.threads - floor.threads),
		"worker at rest, descriptors more":              float64(w.descriptors - floor.descriptors),
		"manager with broker at rest, over a bare Zeek": m.residentMiB - floor.residentMiB,
	}
	if err := worker.goOn(1); err != nil {
		return nil, err
	}
	if _, err := worker.await(b, "answered", "1"); err != nil {
		return nil, fmt.Errorf("answers were lost: %w", err)
	}
	r["worker after 10,000 round trips/s, over a bare Zeek"] = worker.memory().residentMiB - floor.residentMiB
	r["manager after 10,000 round trips/s, over a bare Zeek"] = c.manager.memory().residentMiB - floor.residentMiB
	return r, nil
}

// ---- startup ----

func runStartup(b *bench, side string) (numbers, error) {
	var wall, used []float64
	for i := 0; i < repeats; i++ {
		b.runs++
		start := time.Now()
		p, err := b.start("zeek", filepath.Join(b.work, fmt.Sprintf("%03d-startup", b.runs)), zeekEnv(side), b.zeek,
			"-e", `event zeek_init() { terminate(); }`)
		if err != nil {
			return nil, err
		}
		for range p.lines {
		}
		wall = append(wall, time.Since(start).Seconds()*1000)
		if p.end != nil {
			return nil, fmt.Errorf("zeek: %v: %s", p.end, p.lastError())
		}
		used = append(used, (p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime()).Seconds()*1000)
	}
	return numbers{"wall": percentile(wall, 50), "CPU": percentile(used, 50)}, nil
}
