// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"
	"golang.org/x/sys/unix"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/node"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// seen is what --json says of a view.
type seenView struct {
	Broker struct {
		Connected bool
		Problem   string
	}
	Interval  float64
	Total     rate
	Malformed uint64
	Nodes     []struct {
		Name, ID, Kind, Role string
		NameFrom             string `json:"name_from"`
		RoleFrom             string `json:"role_from"`
		Broker               bool
		PID                  int
		Events               uint64
		EventsPerSec         float64    `json:"events_per_s"`
		UpFrom               string     `json:"up_since_from"`
		Up                   time.Time  `json:"up_since"`
		Down                 *time.Time `json:"down_since"`
		Rows                 *float64   `json:"log_rows"`
		RowsPerSec           *float64   `json:"log_rows_per_s"`
		Drops                *float64
	}
	Topics        []seenTopic
	Subscriptions []struct{ Prefix, Who string }
	Logs          []logRate
	LoggerLogs    []logRate `json:"logger_logs"`
	Metrics       struct {
		Endpoints []metricsEndpoint
		Problem   string
	}
}

type seenTopic struct {
	Topic, Event  string
	Events, Bytes uint64
	EventsPerSec  float64 `json:"events_per_s"`
	BytesPerSec   float64 `json:"bytes_per_s"`
	Subscriptions []string
}

func parseView(tb testing.TB, text string) seenView {
	tb.Helper()
	var v seenView
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	return v
}

func (v *seenView) who(prefix string) string {
	for _, s := range v.Subscriptions {
		if s.Prefix == prefix {
			return s.Who
		}
	}
	return "not there"
}

// join makes a member of a test's cluster, and connectTo a client.
func join(tb testing.TB, p place, name string) *node.Node {
	tb.Helper()
	n, err := node.Join(name, node.Endpoints(p.xpub, p.xsub), node.Set("linger_ms", "100"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { n.Close() })
	return n
}

// sends publishes every few milliseconds until the test ends.
func sends(tb testing.TB, n *node.Node, topic, name string) {
	tb.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			n.Publish(context.Background(), topic, &event.Event{Name: name})
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	tb.Cleanup(func() {
		close(stop)
		<-done
	})
}

func TestTopShowsNodesTopicsAndRates(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	manager, worker := join(t, p, "manager"), join(t, p, "worker-1")
	testkit.Eventually(t, "the nodes to know each other", func() bool { return len(manager.Peers())+len(worker.Peers()) == 2 })
	s, err := manager.Subscribe("zeek.cluster.manager", 0)
	if err != nil {
		t.Fatal(err)
	}
	within30, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Ready(within30); err != nil {
		t.Fatal(err)
	}
	sends(t, worker, "zeek.cluster.manager", "Demo::seen")
	client, err := node.Connect(node.Endpoints(p.xpub, p.xsub))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	sends(t, client, "nobody's", "Demo::lost")

	run := launch(t, p.connect("top", "--once", "--json", "--interval", "500ms", "--metrics", "none")...)
	run.exits(exitOK)
	v := parseView(t, run.out.String())
	if !v.Broker.Connected || v.Interval < 0.4 || v.Malformed != 0 || v.Total.Events < 10 {
		t.Errorf("%+v", v)
	}
	kinds := map[string]string{}
	for _, n := range v.Nodes {
		kinds[n.Name] += n.Kind + " " + n.Role + " " + n.RoleFrom + " " + n.UpFrom
		if n.ID == worker.ID() && (n.PID != os.Getpid() || n.Events == 0 || n.EventsPerSec < 1) {
			t.Errorf("%+v", n)
		}
	}
	if want := map[string]string{"manager": "node manager name before", "worker-1": "node worker name before", "": "client   seen"}; !reflect.DeepEqual(kinds, want) {
		t.Errorf("nodes: %q", kinds)
	}
	topics := map[string]string{}
	for _, tp := range v.Topics {
		topics[tp.Topic] = fmt.Sprint(tp.Event, tp.Subscriptions)
		if tp.EventsPerSec < 1 || tp.BytesPerSec < 50*tp.EventsPerSec {
			t.Errorf("%+v", tp)
		}
	}
	if want := map[string]string{"zeek.cluster.manager": "Demo::seen[zeek.cluster.manager]", "nobody's": "Demo::lost[]"}; !reflect.DeepEqual(topics, want) {
		t.Errorf("topics: %q", topics)
	}
	for prefix, want := range map[string]string{"zeek.cluster.manager": "by convention: manager", node.NodeIDTopic(worker.ID()): "worker-1", "": "this program, perhaps others"} {
		if got := v.who(prefix); got != want {
			t.Errorf("%q is subscribed to by %q, want %q", prefix, got, want)
		}
	}

	text := launch(t, p.connect("top", "--once", "--interval", "200ms", "--metrics", "none")...)
	text.exits(exitOK)
	for _, want := range []string{"2 nodes, 1 client", "worker-1?", "nobody's", "nobody  ", "Demo::seen", "unknown without metrics"} {
		if !strings.Contains(text.out.String(), want) {
			t.Errorf("no %q in\n%s", want, text.out.String())
		}
	}
	// Whoever watches is no member of the cluster.
	if a, b := manager.Peers(), worker.Peers(); len(a) != 1 || len(b) != 1 {
		t.Errorf("%v %v", a, b)
	}
}

// The broker goes and comes, and nodes with it.
func TestTopFollowsChanges(t *testing.T) {
	p := newPlace(t)
	b := startBroker(t, p)
	run := launch(t, p.connect("top", "--json", "--interval", "100ms", "--metrics", "none")...)
	await := func(what string, is func(seenView) bool) {
		t.Helper()
		testkit.Eventually(t, what, func() bool {
			lines := strings.Split(strings.TrimSpace(run.out.String()), "\n")
			last := lines[len(lines)-1]
			return json.Valid([]byte(last)) && is(parseView(t, last))
		})
	}
	await("a view", func(v seenView) bool { return v.Broker.Connected && len(v.Nodes) == 0 })
	one, two := join(t, p, "worker-1"), join(t, p, "worker-2")
	await("nodes that say their names", func(v seenView) bool {
		return len(v.Nodes) == 2 && v.Nodes[0].NameFrom == "hello" && v.Nodes[1].NameFrom == "hello" && v.Nodes[0].UpFrom == "seen"
	})
	one.Close()
	await("a node that is down", func(v seenView) bool { return v.Nodes[0].Down != nil && v.Nodes[1].Down == nil })

	b.cancel()
	b.exits(exitOK)
	await("no broker", func(v seenView) bool { return !v.Broker.Connected && v.Broker.Problem != "" })
	startBroker(t, p)
	await("the broker", func(v seenView) bool {
		return v.Broker.Connected && v.Nodes[1].Down == nil && v.Nodes[1].ID == two.ID()
	})
	sends(t, two, "x", "again")
	await("events", func(v seenView) bool {
		return slices.ContainsFunc(v.Topics, func(t seenTopic) bool { return t.Topic == "x" && t.EventsPerSec > 1 })
	})
	run.cancel()
	run.exits(exitOK)
}

// Whatever is sent, top counts it, and shows it so that a terminal is safe.
func TestTopOfHostileTraffic(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	sub := launch(t, p.connect("top", "--json", "--interval", "100ms", "--metrics", "none")...)
	peers := testkit.NewPeers(t)
	pub := peers.Connect(p.xsub, zmq.XPUB)
	xsub := peers.Connect(p.xpub, zmq.XSUB)
	xsub.Subscribe(hostile)
	xsub.Subscribe(nodeIDPrefix + "zeromq_" + hostile + "_h_1_Nx.")
	xsub.Subscribe(nodeIDPrefix)
	pub.AwaitMessage("\x01")
	var v seenView
	latest := func() bool {
		lines := strings.Split(strings.TrimSpace(sub.out.String()), "\n")
		last := lines[len(lines)-1]
		if !json.Valid([]byte(last)) {
			return false
		}
		v = parseView(t, last)
		return true
	}
	// It counts from when it is connected.
	testkit.Eventually(t, "a connected broker", func() bool { return latest() && v.Broker.Connected })
	hello, _ := event.Encode(event.BrokerBinV1, &event.Event{Name: "Cluster::hello", Args: []event.Value{"worker-1\x1b[2J", "somebody else"}})
	for name, parts := range map[string][]string{
		"one part":     {hostile},
		"five":         {"a", "b", "c", "d", "e"},
		"empty":        {"", "", "", ""},
		"a lie":        {nodeIDPrefix + "x.", hostile, event.BrokerBinV1.String(), string(hello)},
		"not a format": {"f", "s", hostile, "x"},
		"large":        {strings.Repeat("t", 70000), strings.Repeat("s", 70000), strings.Repeat("f", 70000), strings.Repeat("p", 700000)},
		"cut name":     {"n", "s", event.BrokerBinV1.String(), string(binHead) + "\x02\x05\xff\xff\xff\xff\x0fabc"},
		"long varuint": {"n", "s", event.BrokerBinV1.String(), string(binHead) + "\x02\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		"short":        {"n", "s", event.BrokerBinV1.String(), string(binHead) + "\x02\x05"},
		"a named one":  {"named", "s", event.BrokerBinV1.String(), string(binHead) + "\x02\x05\x04\x1b[2J"},
	} {
		pub.SendParts(parts...)
		_ = name
	}
	testkit.Eventually(t, "10 messages", func() bool { return latest() && v.Total.Events == 10 })
	if v.Malformed != 2 || v.Total.Bytes < 910000 {
		t.Errorf("%d malformed of 2, %d bytes", v.Malformed, v.Total.Bytes)
	}
	text := launch(t, p.connect("top", "--once", "--interval", "200ms", "--metrics", "none")...)
	pub.SendParts(hostile, hostile, event.BrokerBinV1.String(), string(hello))
	text.exits(exitOK)
	for _, out := range []string{sub.out.String(), text.out.String()} {
		if !safe(out) {
			t.Errorf("not for a terminal: %q", out)
		}
	}
	for _, n := range v.Nodes {
		if n.NameFrom == "hello" {
			t.Errorf("believed a hello of somebody else: %+v", n)
		}
	}
}

// What is kept has bounds, and what is beyond them is counted all the same.
func TestMeterIsBounded(t *testing.T) {
	m := &meter{topics: map[string]*flow{}, senders: map[string]*flow{}, lastCut: time.Now().Add(-time.Second)}
	now := time.Now()
	for i := range 3 * maxFlows {
		m.count(&cshim.Tapped{Topic: fmt.Appendf(nil, "t%d", i), Sender: fmt.Appendf(nil, "s%d", i), Parts: 4, Bytes: 10}, now.Add(-2*idle))
	}
	tr, _ := m.cut()
	if len(tr.topics) != maxFlows+1 || len(tr.senders) != maxFlows+1 || tr.topics[others].Events != 2*maxFlows || tr.total.Events != 3*maxFlows {
		t.Errorf("%d topics, %d senders, %+v", len(tr.topics), len(tr.senders), tr.topics[others])
	}
	m.lastCut = time.Now().Add(-time.Second)
	m.count(&cshim.Tapped{Topic: []byte("new"), Sender: []byte("new"), Parts: 4, Bytes: 10}, now)
	if tr, _ = m.cut(); tr.topics["new"].Events != 1 || len(tr.topics) > 3 {
		t.Errorf("idle topics stay: %d", len(tr.topics))
	}
	if r := tr.topics["new"]; r.EventsPerSec < 0.5 || r.EventsPerSec > 1.1 {
		t.Errorf("%+v", r)
	}

	r := newRoster()
	for i := range 2 * maxSubscriptions {
		r.subscribed(fmt.Sprintf("%s%d.", nodeIDPrefix, i), true)
		r.met("name", fmt.Sprint(i))
	}
	if nodes, subs := r.now(); len(nodes) != maxNodes || len(subs) != maxSubscriptions || len(r.names) != maxNodes {
		t.Errorf("%d nodes, %d subscriptions, %d names", len(nodes), len(subs), len(r.names))
	}
}

func TestNodeIDs(t *testing.T) {
	for id, want := range map[string]string{
		"zeromq_worker-1_host.example_123_NAbc9": "worker-1 host.example 123",
		"zeromq_my_worker_2_host_1_Nx":           "my_worker_2 host 1",
		"zeromq__host_1_Nx":                      " host 1",
		"something else":                         "  0",
		"zeromq_a_b_99999999999_Nx":              "  0",
	} {
		name, host, pid := splitID(id)
		if got := fmt.Sprintf("%s %s %d", name, host, pid); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
	for name, want := range map[string]string{"manager": "manager", "worker-1": "worker", "logger_02": "logger", "proxy-1-2": "proxy", "workhorse": "", "workers": "", "": ""} {
		if got := roleOf(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// ---- Metrics ----

func TestMetricsText(t *testing.T) {
	text := `# HELP x y
# TYPE x counter
plain 1
with_label{a="b"} 2 1700000000
two{a="x\"y\\z\n",b="{}, "} 3.5e2
not_a_number{a="b"} Nan
broken{a="b 1
broken{a=b} 1
{} 1
name_only
trailing{a="b",} 4
`
	var got []string
	err := readMetrics(strings.NewReader(text), func(name string, labels map[string]string, v float64) {
		got = append(got, fmt.Sprintf("%s %q %v", name, labels, v))
	})
	want := []string{`plain map[] 1`, `with_label map["a":"b"] 2`, `two map["a":"x\"y\\z\n" "b":"{}, "] 350`, `trailing map["a":"b"] 4`}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
}

func FuzzReadMetrics(f *testing.F) {
	f.Add(`a{b="c\n",d="e"} 1`)
	f.Fuzz(func(t *testing.T, text string) {
		readMetrics(strings.NewReader(text), func(string, map[string]string, float64) {})
	})
}

func TestMetricsURLs(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:9991": "http://127.0.0.1:9991/metrics", "http://h:1/services.json": "http://h:1/services.json", "h:1/services.json": "http://h:1/services.json",
		"https://h/": "https://h/metrics", "[::1]:9991": "http://[::1]:9991/metrics",
	} {
		if got, err := metricsURL(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "ftp://h/x", "file:///etc/passwd", "http://", "http://h:port", ":9991"} {
		if got, err := metricsURL(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

// A manager names the nodes' endpoints; rows and drops are theirs. Endpoints that
// fail are named, and those that do not answer hold up nobody for long.
func TestTopTakesMetrics(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	join(t, p, "manager")
	join(t, p, "worker-1")
	var rows atomic.Uint64
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	worker := serve(func(w http.ResponseWriter, r *http.Request) {
		n := rows.Add(1000)
		fmt.Fprintf(w, "zeek_log_writer_writes_total{node=\"worker-1\",path=\"conn\",filter_name=\"a\"} %d\n", n)
		fmt.Fprintf(w, "zeek_log_writer_writes_total{node=\"worker-1\",path=\"conn\",filter_name=\"b\"} %d\n", n)
		fmt.Fprintf(w, "zeek_log_writer_writes_total{node=\"worker-1\",path=\"dns\x1b[2J\"} 5\nprocess_start_time_seconds{node=\"worker-1\"} 1700000000.5\n")
		fmt.Fprintf(w, "zeek_cluster_zeromq_xpub_drops_total{node=\"worker-1\"} 3\nzeek_cluster_zeromq_log_drops_total{node=\"worker-1\"} 4\n")
	})
	stuck := make(chan struct{})
	hangs := serve(func(w http.ResponseWriter, r *http.Request) { <-stuck })
	t.Cleanup(func() { close(stuck) })
	fails := serve(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	moved := serve(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+worker+"/metrics", http.StatusFound)
	})
	var manager string
	manager = serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == servicesPath {
			json.NewEncoder(w).Encode([]map[string]any{{"targets": []string{worker, fails, hangs, moved, manager, "file:///etc/passwd"}, "labels": map[string]string{}}})
			return
		}
		fmt.Fprintf(w, "process_start_time_seconds{node=\"manager\"} 1700000001\nzeek_cluster_zeromq_proxy_frontend_messages_received_total{node=\"manager\"} 3\n")
	})
	logger := serve(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "zeek_cluster_zeromq_logger_rows_written_total{path=\"dns\"} 77\n"+
			"zeek_cluster_zeromq_logger_rows_written_total{path=\"conn\"} 4000\n")
	})

	begun := time.Now()
	run := launch(t, p.connect("top", "--once", "--json", "--interval", "200ms", "--metrics", manager+servicesPath, "--metrics", logger)...)
	run.exits(exitOK)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	v := parseView(t, run.out.String())
	for _, n := range v.Nodes {
		switch n.Name {
		case "worker-1":
			if n.Drops == nil || *n.Drops != 7 || n.Rows == nil || *n.Rows != 4005 || *n.RowsPerSec <= 0 || n.UpFrom != "metrics" || n.Up.UnixMilli() != 1700000000500 {
				t.Errorf("%+v", n)
			}
		case "manager":
			if n.RoleFrom != "metrics" || n.Role != "manager" || !n.Broker {
				t.Errorf("%+v", n)
			}
		default:
			t.Errorf("%+v", n)
		}
	}
	if len(v.Logs) != 2 || v.Logs[0].Path != "conn" || v.Logs[0].Rows != 4000 || v.Logs[0].RowsPerSec < 100 || v.Logs[1].RowsPerSec != 0 {
		t.Errorf("%+v", v.Logs)
	}
	if len(v.LoggerLogs) != 2 || v.LoggerLogs[0].Rows != 4000 || v.LoggerLogs[1].Rows != 77 || v.LoggerLogs[1].Path != "dns" {
		t.Errorf("%+v", v.LoggerLogs)
	}
	errors := map[string]string{}
	for _, e := range v.Metrics.Endpoints {
		errors[e.URL] = e.Error
	}
	want := map[string]string{"http://" + worker + "/metrics": "", "http://" + manager + "/metrics": "", "http://" + logger + "/metrics": "",
		"http://" + fails + "/metrics": "it answers 500", "http://" + hangs + "/metrics": "no answer in time", "http://" + moved + "/metrics": "redirected"}
	if !reflect.DeepEqual(errors, want) {
		t.Errorf("got  %q\nwant %q", errors, want)
	}
	if !safe(run.out.String()) {
		t.Errorf("not for a terminal: %q", run.out.String())
	}
}

// ---- The screen ----

func TestTablesFit(t *testing.T) {
	v := &view{Time: time.Now()}
	for i := range 40 {
		v.Nodes = append(v.Nodes, nodeView{Name: fmt.Sprintf("worker-%d", i), ID: "id", Kind: "node", Host: strings.Repeat("h", 30), Up: time.Now()})
		v.Topics = append(v.Topics, topicView{Topic: hostile + strings.Repeat("é", i), Event: hostile, Subscribers: []string{hostile, "b"}})
		v.Subscriptions = append(v.Subscriptions, subscriptionView{Prefix: strings.Repeat(hostile, 5), Who: hostile})
		v.Logs = append(v.Logs, &logRate{Path: hostile})
	}
	v.Broker.Problem, v.News = hostile, hostile
	s := &screen{out: os.Stdout, style: noStyle}
	for s.shown = range 5 {
		for width := 1; width < 250; width += 7 {
			for height := 1; height < 60; height += 3 {
				s.from = height
				lines := s.frame(v, width, height)
				if len(lines) > height {
					t.Fatalf("%d lines in %d", len(lines), height)
				}
				for _, l := range lines {
					if len(l) > width || !safe(l) {
						t.Fatalf("in %d columns: %q", width, l)
					}
				}
			}
		}
	}
}

func TestShares(t *testing.T) {
	for _, c := range []struct {
		room  int
		wants []int
		got   []int
	}{{20, []int{3, 100, 2}, []int{3, 15, 2}}, {10, []int{20, 20}, []int{5, 5}}, {100, []int{1, 2}, []int{1, 2}}, {0, []int{5}, []int{0}}, {-3, []int{5}, []int{0}}, {1, []int{4, 4}, []int{1, 0}}} {
		if got := shares(c.room, c.wants); !reflect.DeepEqual(got, c.got) {
			t.Errorf("%d for %v: %v, want %v", c.room, c.wants, got, c.got)
		}
	}
}

func TestKeys(t *testing.T) {
	if got := splitKeys("a\x1b[A\x1b[5~q\x1bOB\x1b"); !reflect.DeepEqual(got, []string{"a", "\x1b[A", "\x1b[5~", "q", "\x1bOB", "\x1b"}) {
		t.Errorf("%q", got)
	}
}

// terminal is a pseudo-terminal on which the program runs.
type terminal struct {
	tb     testing.TB
	master *os.File
	cmd    *exec.Cmd
	ended  <-chan error
	shows  output
}

func onTerminal(tb testing.TB, read bool, env []string, args ...string) *terminal {
	tb.Helper()
	return onTerminalAs(tb, read, env, exec.Command(os.Args[0], args...))
}

func onTerminalAs(tb testing.TB, read bool, env []string, cmd *exec.Cmd) *terminal {
	tb.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		tb.Skipf("SKIPPED: no pseudo-terminal: %v", err)
	}
	t := &terminal{tb: tb, master: os.NewFile(uintptr(fd), "ptmx")}
	tb.Cleanup(func() { t.master.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		tb.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		tb.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	t.resize(100, 30)
	t.cmd = cmd
	t.cmd.Stdin, t.cmd.Stdout, t.cmd.Stderr = slave, slave, &t.shows
	t.cmd.Env = append(append(os.Environ(), asProgram+"=1", "TERM=xterm", "NO_COLOR="), env...)
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := t.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	slave.Close()
	t.ended = testkit.Go(t.cmd.Wait)
	tb.Cleanup(func() { t.cmd.Process.Kill() })
	if read {
		go io.Copy(&t.shows, t.master)
	}
	return t
}

func (t *terminal) resize(columns, lines int) {
	t.tb.Helper()
	if err := unix.IoctlSetWinsize(int(t.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(lines), Col: uint16(columns)}); err != nil {
		t.tb.Fatal(err)
	}
	unix.SetNonblock(int(t.master.Fd()), true) // Fd made it block
}

func (t *terminal) await(text string) {
	t.tb.Helper()
	testkit.Eventually(t.tb, fmt.Sprintf("%q on the screen", text), func() bool { return strings.Contains(t.shows.String(), text) })
}

// lastFrame is what was drawn last.
func (t *terminal) lastFrame() string {
	frames := strings.Split(t.shows.String(), "\x1b[H")
	if len(frames) < 3 {
		return ""
	}
	return frames[len(frames)-2]
}

func TestTopOnATerminal(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	worker := join(t, p, "worker-1")
	sends(t, worker, "demo.topic", "Demo::e")

	screen := onTerminal(t, true, nil, p.connect("top", "--interval", "100ms", "--metrics", "none")...)
	screen.await("\x1b[?1049h")
	screen.await("demo.topic")
	screen.await("SUBSCRIPTIONS")
	screen.resize(40, 12)
	testkit.Eventually(t, "a frame of 12 lines of 40 columns", func() bool {
		lines := strings.Split(screen.lastFrame(), "\r\n")
		if len(lines) != 12 {
			return false
		}
		for _, l := range lines {
			l = strings.NewReplacer("\x1b[7m", "", "\x1b[1m", "", "\x1b[0m", "", "\x1b[K", "", "\x1b[J", "").Replace(l)
			if len(l) > 40 || !safe(l) {
				return false
			}
		}
		return true
	})
	io.WriteString(screen.master, "2")
	testkit.Eventually(t, "the nodes alone", func() bool {
		f := screen.lastFrame()
		return strings.Contains(f, "NODES") && !strings.Contains(f, "TOPICS")
	})
	io.WriteString(screen.master, " ")
	screen.await("PAUSED")
	io.WriteString(screen.master, "\x1a")
	ignoresStops(t, screen.cmd.Process.Pid)
	screen.resize(100, 30)
	io.WriteString(screen.master, " 1")
	testkit.Eventually(t, "the topics again", func() bool {
		f := screen.lastFrame()
		return strings.Contains(f, "TOPICS") && !strings.Contains(f, "PAUSED")
	})
	io.WriteString(screen.master, "q")
	if err := testkit.Result(t, "the end", screen.ended); err != nil {
		t.Error(err)
	}
	screen.await("\x1b[?25h\x1b[?1049l")

	// Ctrl-C, which is a key, and SIGTERM end it, too, and put the terminal back.
	for name, end := range map[string]func(*terminal){
		"Ctrl-C":  func(s *terminal) { io.WriteString(s.master, "\x03") },
		"SIGTERM": func(s *terminal) { s.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		s := onTerminal(t, true, []string{"NO_COLOR=1"}, p.connect("top", "--interval", "100ms", "--metrics", "none")...)
		s.await("demo.topic")
		end(s)
		if err := testkit.Result(t, name, s.ended); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.await("\x1b[?1049l")
		if got, err := unix.IoctlGetTermios(int(s.master.Fd()), unix.TCGETS); err != nil || got.Lflag&unix.ICANON == 0 || got.Lflag&unix.ECHO == 0 {
			t.Errorf("%s leaves the terminal as %+v, %v", name, got, err)
		}
		if strings.Contains(s.shows.String(), "\x1b[3") {
			t.Errorf("colours in spite of NO_COLOR")
		}
	}
}

// ignoresStops checks that a terminal's Ctrl-Z would not stop a process.
func ignoresStops(tb testing.TB, pid int) {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "SigIgn:")
	var ignored uint64
	fmt.Sscanf(line, "%x", &ignored)
	for _, s := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		if ignored&(1<<(s-1)) == 0 {
			tb.Errorf("%v would stop it", s)
		}
	}
}

func TestSubIsNotStopped(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	cmd := exec.Command(os.Args[0], p.connect("sub", "--log-level", "info", "")...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var log output
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := testkit.Go(cmd.Wait)
	testkit.Eventually(t, "the subscription", func() bool { return strings.Contains(log.String(), "subscribed") })
	ignoresStops(t, cmd.Process.Pid)
	cmd.Process.Signal(syscall.SIGTERM)
	testkit.Result(t, "the end", ended)
}

// A terminal that takes nothing holds up neither the meter nor the cluster.
func TestTopOnAStuckTerminal(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p, "--heartbeat-interval", "0") // else it gives up who does not read
	peers := testkit.NewPeers(t)
	xsub := peers.Connect(p.xpub, zmq.XSUB)
	for i := range 400 {
		xsub.Subscribe(fmt.Sprintf("%0200d", i))
	}
	screen := onTerminal(t, false, nil, p.connect("top", "--interval", "100ms", "--metrics", "none", "--heartbeat-interval", "0")...)
	screen.resize(250, 500) // 100 kB a view, more than the kernel holds
	pub := peers.Connect(p.xsub, zmq.XPUB, testkit.NoDrop, testkit.HWM(100))
	pub.AwaitMessage("\x01")
	time.Sleep(2 * time.Second) // for the views to fill the terminal, which nothing tells
	payload := testkit.NumberedEvent(1)
	sent := testkit.Go(func() error {
		for range 300000 {
			if _, err := pub.SendMessage("topic", "sender", "broker-bin-v1", payload); err != nil {
				return err
			}
		}
		return nil
	})
	if err := testkit.Result(t, "300000 events to be sent", sent); err != nil {
		t.Error(err)
	}
	select {
	case <-screen.ended:
		t.Error("top has ended")
	default:
	}
}

func TestTopWithoutATerminal(t *testing.T) {
	p := place{testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "--once or --json"},
		{[]string{"--interval", "1ms"}, exitUsage, "--interval"},
		{[]string{"--once", "--metrics", "ftp://x"}, exitUsage, "--metrics"},
		{[]string{"--once", "--metrics", "none", "--metrics", "h:1"}, exitUsage, "none"},
		{[]string{"--once", "--connect-timeout", "200ms"}, exitFailed, "nobody listens"},
	} {
		run := launch(t, p.connect("top", c.args...)...)
		run.exits(c.code)
		if text := run.err.String(); !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 {
			t.Errorf("%q: %q, want one line with %q", c.args, text, c.want)
		}
	}
	dumb := onTerminal(t, true, []string{"TERM=dumb"}, p.connect("top")...)
	testkit.Result(t, "the end", dumb.ended)
	dumb.await("cannot move its cursor")

	// The shell has the terminal, and starts it in the background.
	shell := exec.Command("/bin/bash", "-c", `set -m; "$@" & wait $!; echo "exit code $?"`, "bash", os.Args[0])
	shell.Args = append(shell.Args, p.connect("top")...)
	background := onTerminalAs(t, true, nil, shell)
	testkit.Result(t, "the end", background.ended)
	background.await("in the background")
	background.await("exit code 2")
}

// Counting is faster than any broker forwards.
func BenchmarkMeter(b *testing.B) {
	m := &meter{topics: map[string]*flow{}, senders: map[string]*flow{}, met: func(string, string) {}}
	t := &cshim.Tapped{Topic: []byte("zeek.cluster.manager"), Sender: []byte("zeromq_worker-1_host_1_Nabcdefghijk"), Format: []byte("broker-bin-v1"),
		Head: []byte(testkit.NumberedEvent(1)), Whole: true, Parts: 4, Bytes: 150}
	now := time.Now()
	for range b.N {
		m.count(t, now)
	}
}

// A meter that fails says so, and does not take the terminal with it.
func TestMeterPanics(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	s := &settings{Options: options.Default()}
	s.Set("connect_xsub_endpoint", p.xpub)
	m, err := startMeter(&s.Options, func(name, id string) { panic("a test") })
	if err != nil {
		t.Fatal(err)
	}
	defer m.stop()
	pub := testkit.NewPeers(t).Connect(p.xsub, zmq.XPUB)
	pub.AwaitMessage("\x01")
	hello, _ := event.Encode(event.BrokerBinV1, &event.Event{Name: "Cluster::hello", Args: []event.Value{"n", "id"}})
	pub.SendParts(nodeIDPrefix+"x.", "id", event.BrokerBinV1.String(), string(hello))
	testkit.Eventually(t, "the failure", func() bool {
		_, err := m.cut()
		return err != nil && strings.Contains(err.Error(), "a test")
	})
}
