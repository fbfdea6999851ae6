// SPDX-License-Identifier: BSD-3-Clause

package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/broker"
	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/node"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// testBroker is a central broker that can be stopped and started.
type testBroker struct {
	*broker.Broker
	tb   testing.TB
	opts options.Options
}

func startBroker(tb testing.TB, change ...func(*options.Options)) *testBroker {
	tb.Helper()
	o := options.Default()
	o.ListenXPubEndpoint, o.ListenXSubEndpoint = testkit.FreeEndpoint(tb), testkit.FreeEndpoint(tb)
	o.LingerMs = 50
	for _, c := range change {
		c(&o)
	}
	b := &testBroker{tb: tb, opts: o}
	b.start()
	tb.Cleanup(b.stop)
	return b
}

func (b *testBroker) start() {
	b.tb.Helper()
	started, err := broker.Start(b.opts, broker.NewStats())
	if err != nil {
		b.tb.Fatal(err)
	}
	b.Broker = started
}

func (b *testBroker) stop() {
	if b.Broker != nil {
		b.Stop()
		b.Broker = nil
	}
}

func (b *testBroker) at() node.Option {
	return node.Endpoints(b.opts.ListenXPubEndpoint, b.opts.ListenXSubEndpoint)
}

func silent() node.Option {
	return node.Logger(slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// text is a logger's output.
type text struct {
	sync.Mutex
	bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.Lock()
	defer t.Unlock()
	return t.Buffer.Write(p)
}

func (t *text) count(s string) int {
	t.Lock()
	defer t.Unlock()
	return strings.Count(t.Buffer.String(), s)
}

func connect(tb testing.TB, opts ...node.Option) *node.Node {
	tb.Helper()
	n, err := node.Connect(append([]node.Option{silent(), node.Set("linger_ms", "200")}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { n.Close() })
	return n
}

func join(tb testing.TB, name string, opts ...node.Option) *node.Node {
	tb.Helper()
	n, err := node.Join(name, append([]node.Option{silent(), node.Set("linger_ms", "200")}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { n.Close() })
	return n
}

func context8(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

func subscribe(tb testing.TB, n *node.Node, prefix string, queue int) *node.Subscription {
	tb.Helper()
	s, err := n.Subscribe(prefix, queue)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Ready(context8(tb)); err != nil {
		tb.Fatal(err)
	}
	return s
}

func publish(tb testing.TB, n *node.Node, topic, name string, args ...any) {
	tb.Helper()
	e, err := event.New(name, args...)
	if err != nil {
		tb.Fatal(err)
	}
	if err := n.Publish(context8(tb), topic, e); err != nil {
		tb.Fatal(err)
	}
}

func next(tb testing.TB, s *node.Subscription) *event.Event {
	tb.Helper()
	m, err := s.Next(context8(tb))
	if err != nil {
		tb.Fatal(err)
	}
	e, err := m.Event()
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestEventsReachTheSubscribersOfTheirTopic(t *testing.T) {
	b := startBroker(t)
	from, to := connect(t, b.at()), connect(t, b.at())
	all, some := subscribe(t, to, "demo.", 0), subscribe(t, to, "demo.x.", 0)

	publish(t, from, "demo.y.", "first", uint64(1))
	publish(t, from, "other", "nobody's")
	publish(t, from, "demo.x.1", "second", "text")

	if e := next(t, all); e.Name != "first" || e.Args[0] != uint64(1) {
		t.Errorf("got %+v", e)
	}
	for _, s := range []*node.Subscription{all, some} {
		if e := next(t, s); e.Name != "second" || e.Args[0] != "text" {
			t.Errorf("%q got %+v", s.Prefix(), e)
		}
	}
	// The engine counts what it has handed over.
	testkit.Eventually(t, "2 events to be counted", func() bool { return to.Stats().EventsReceived == 2 })
	if st := to.Stats(); st.Dropped+st.Invalid+st.Slow != 0 {
		t.Errorf("%+v", st)
	}
}

// A subscription to everything is one like others.
func TestAllTopics(t *testing.T) {
	b := startBroker(t)
	from, to := connect(t, b.at()), connect(t, b.at())
	all := subscribe(t, to, "", 0)
	for _, topic := range []string{"a", "b.c."} {
		publish(t, from, topic, topic)
		if e := next(t, all); e.Name != topic {
			t.Errorf("got %+v, want %s", e, topic)
		}
	}
}

// The first event goes to subscribers that there were before: Publish waits for
// the news of them.
func TestFirstEventIsNotLost(t *testing.T) {
	b := startBroker(t)
	to := connect(t, b.at())
	s := subscribe(t, to, "first.", 0)
	for i := range 20 {
		from := connect(t, b.at())
		publish(t, from, "first.", "ping", uint64(i))
		if e := next(t, s); e.Args[0] != uint64(i) {
			t.Fatalf("event %d: got %+v", i, e)
		}
		from.Close()
	}
}

func TestUnsubscribed(t *testing.T) {
	b := startBroker(t)
	seen := make(chan string, 100)
	from := connect(t, b.at(), node.OnSubscription(func(topic string, on bool) {
		if !on && topic == "a." {
			seen <- topic
		}
	}))
	to := connect(t, b.at())
	one, two := subscribe(t, to, "a.", 0), subscribe(t, to, "a.", 0)
	one.Close()
	one.Close() // has no effect
	publish(t, from, "a.", "still")
	if e := next(t, two); e.Name != "still" {
		t.Errorf("got %+v", e)
	}
	if _, err := one.Next(context8(t)); !errors.Is(err, node.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	two.Close()
	testkit.Result(t, "the end of the subscription", seen)
}

func TestSlowConsumerLosesAndIsToldOnce(t *testing.T) {
	b := startBroker(t)
	var log text
	from := connect(t, b.at())
	to := connect(t, b.at(), node.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	slow, quick := subscribe(t, to, "s.", 3), subscribe(t, to, "s.", 0)
	for i := range 10 {
		publish(t, from, "s.", "n", uint64(i))
	}
	for i := range 10 {
		if e := next(t, quick); e.Args[0] != uint64(i) {
			t.Fatalf("the quick one got %+v, want %d", e, i)
		}
	}
	testkit.Eventually(t, "7 lost", func() bool { return slow.Dropped() == 7 })
	for i := range 3 {
		if e := next(t, slow); e.Args[0] != uint64(i) {
			t.Errorf("the slow one got %+v, want %d", e, i)
		}
	}
	slow.Close()
	if n := log.count("too slow: dropped a message"); n != 1 {
		t.Errorf("the beginning was told %d times", n)
	}
	if n := log.count("dropped=7"); n != 1 {
		t.Errorf("the end was told %d times: %s", n, log.String())
	}
	if st := to.Stats(); st.Slow != 7 {
		t.Errorf("%+v", st)
	}
}

// What was published is sent before Close returns, and what has arrived can be
// received afterwards.
func TestCloseDrains(t *testing.T) {
	b := startBroker(t)
	to := connect(t, b.at())
	s := subscribe(t, to, "d.", 0)
	from := connect(t, b.at(), node.Set("linger_ms", "2000"))
	const many = 2000
	for i := range many {
		publish(t, from, "d.", "n", uint64(i))
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "all received", func() bool { return to.Stats().EventsReceived == many })
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		if e := next(t, s); e.Args[0] != uint64(i) {
			t.Fatalf("got %+v, want %d", e, i)
		}
	}
	if _, err := s.Next(context8(t)); !errors.Is(err, node.ErrClosed) {
		t.Errorf("after the last: %v", err)
	}
	if err := from.Publish(context8(t), "d.", &event.Event{Name: "late"}); !errors.Is(err, node.ErrClosed) {
		t.Errorf("publish after Close: %v", err)
	}
	if _, err := to.Subscribe("x", 0); !errors.Is(err, node.ErrClosed) {
		t.Errorf("subscribe after Close: %v", err)
	}
	if st := to.Stats(); st.EventsReceived != many {
		t.Errorf("after Close: %+v", st)
	}
}

func TestWithoutBrokerPublishSaysSo(t *testing.T) {
	xsub, xpub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
	n := connect(t, node.Endpoints(xsub, xpub), node.ReadyTimeout(300*time.Millisecond))
	err := n.Publish(context8(t), "a", &event.Event{Name: "x"})
	if !errors.Is(err, node.ErrNotReady) || !strings.Contains(err.Error(), xpub) || !strings.Contains(err.Error(), "nobody listens") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.Publish(ctx, "a", &event.Event{Name: "x"}); !errors.Is(err, context.Canceled) || !errors.Is(err, node.ErrNotReady) {
		t.Errorf("%v", err)
	}
}

func TestBrokerRestart(t *testing.T) {
	b := startBroker(t)
	quick := node.Set("reconnect_interval", "0.02")
	var log text
	from := connect(t, b.at(), quick, node.Logger(slog.New(slog.NewTextHandler(&log, nil))))
	to := connect(t, b.at(), quick)
	s := subscribe(t, to, "r.", 0)
	publish(t, from, "r.", "before")
	next(t, s)

	b.stop()
	testkit.Eventually(t, "the loss to be noticed", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		return from.Ready(ctx) != nil
	})
	if n := log.count("was lost"); n != 1 {
		t.Errorf("the loss was told %d times: %s", n, log.String())
	}
	b.start()
	if err := to.Ready(context8(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(context8(t)); err != nil {
		t.Fatal(err)
	}
	publish(t, from, "r.", "after")
	if e := next(t, s); e.Name != "after" {
		t.Errorf("got %+v", e)
	}
	from.Close() // which is no loss
	if lost, again := log.count("was lost"), log.count("again\""); lost != 1 || again != 2 {
		t.Errorf("told %d times of a loss, and %d times of trying and being connected again: %s", lost, again, log.String())
	}
}

func TestMembersGetToKnowEachOther(t *testing.T) {
	b := startBroker(t)
	type change struct {
		up   bool
		peer node.Peer
	}
	changes := make(chan change, 100)
	watch := []node.Option{b.at(),
		node.OnNodeUp(func(p node.Peer) { changes <- change{true, p} }),
		node.OnNodeDown(func(p node.Peer) { changes <- change{false, p} })}
	one := join(t, "worker-1", watch...)
	client := connect(t, b.at()) // not noticed by anybody
	if err := client.Ready(context8(t)); err != nil {
		t.Fatal(err)
	}
	two := join(t, "worker-2", b.at())
	if c := testkit.Result(t, "worker-2 to come up", changes); !c.up || c.peer.Name != "worker-2" || c.peer.ID != two.ID() {
		t.Errorf("got %+v", c)
	}
	testkit.Eventually(t, "worker-2 to know worker-1", func() bool { return len(two.Peers()) == 1 })
	if p := two.Peers()[0]; p.Name != "worker-1" || p.ID != one.ID() {
		t.Errorf("got %+v", p)
	}

	inbox, err := two.Subscribe(node.NodeIDTopic(two.ID()), 0)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, one, node.NodeIDTopic(two.ID()), "personal")
	if e := next(t, inbox); e.Name != "personal" {
		t.Errorf("got %+v", e)
	}

	two.Close()
	if c := testkit.Result(t, "worker-2 to go down", changes); c.up || c.peer.Name != "worker-2" {
		t.Errorf("got %+v", c)
	}
	if len(one.Peers()) != 0 {
		t.Errorf("still known: %+v", one.Peers())
	}
}

func TestANodeThatNeverSaysHelloIsToldOf(t *testing.T) {
	b := startBroker(t)
	var log text
	one := join(t, "worker-1", b.at(), node.Logger(slog.New(slog.NewTextHandler(&log, nil))), node.HelloExpiration(100*time.Millisecond))
	if err := one.Ready(context8(t)); err != nil {
		t.Fatal(err)
	}
	peers := testkit.NewPeers(t)
	peers.Connect(b.opts.ListenXPubEndpoint, zmq.XSUB).Subscribe("zeek.cluster.nodeid.mute.")
	testkit.Eventually(t, "a warning", func() bool { return log.count("not heard of in time") == 1 })
	peers.Close()
	testkit.Eventually(t, "another", func() bool { return log.count("never came up") == 1 })
}

func TestCurve(t *testing.T) {
	serverPublic, serverSecret := testkit.Keypair(t)
	public, secret := testkit.Keypair(t)
	b := startBroker(t, func(o *options.Options) {
		o.CurveServerPublicKey, o.CurveServerSecretKey = serverPublic, serverSecret
		o.CurveClientPublicKey, o.CurveClientSecretKey = public, secret
	})
	keys := node.Curve(serverPublic, public, secret)
	from, to := connect(t, b.at(), keys), connect(t, b.at(), keys)
	s := subscribe(t, to, "c.", 0)
	publish(t, from, "c.", "secret")
	next(t, s)

	otherPublic, otherSecret := testkit.Keypair(t)
	short := node.ReadyTimeout(400 * time.Millisecond)
	for name, o := range map[string]node.Option{
		"no keys":          node.Set("linger_ms", "0"),
		"key not allowed":  node.Curve(serverPublic, otherPublic, otherSecret),
		"wrong server key": node.Curve(otherPublic, public, secret),
	} {
		n := connect(t, b.at(), o, short)
		if err := n.Publish(context8(t), "c.", &event.Event{Name: "x"}); !errors.Is(err, node.ErrNotReady) {
			t.Errorf("%s: %v", name, err)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

func TestKeysFromEnvironment(t *testing.T) {
	public, secret := testkit.Keypair(t)
	t.Setenv("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_PUBLICKEY", public)
	o := options.Default()
	o.CurveClientSecretKey = secret
	if err := node.KeysFromEnvironment(&o); err != nil || o.CurveClientPublicKey != public {
		t.Errorf("%v, %q", err, o.CurveClientPublicKey)
	}
	if err := node.KeysFromEnvironment(&o); err == nil || !strings.Contains(err.Error(), "both") || strings.Contains(err.Error(), secret) {
		t.Errorf("given twice: %v", err)
	}
	t.Setenv("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_PUBLICKEY", "short")
	o = options.Default()
	if err := node.KeysFromEnvironment(&o); err == nil || !strings.Contains(err.Error(), "curve_client_publickey") {
		t.Errorf("a bad key: %v", err)
	}
}

func TestBadInputIsRefused(t *testing.T) {
	before := testkit.InUse()
	for name, opts := range map[string][]node.Option{
		"linger_ms":               {node.Set("linger_ms", "-5")},
		"no_such_option":          {node.Set("no_such_option", "1")},
		"connect_xsub_endpoint":   {node.Endpoints("nonsense", "tcp://127.0.0.1:5556")},
		"three keys":              {node.Curve("", "", "")},
		"ready timeout":           {node.ReadyTimeout(-1)},
		"unknown format":          {node.Format(77)},
		"curve_server_publickey:": {node.Curve("x", "y", "z")},
	} {
		n, err := node.Connect(opts...)
		if err == nil {
			n.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%v: does not say %q", err, name)
		}
	}
	if _, err := node.Join(""); err == nil {
		t.Error("joined without a name")
	}
	before.Returns(t)

	b := startBroker(t)
	n := connect(t, b.at())
	for _, prefix := range []string{"zeek.cluster.nodeid.", "zeek.cluster.nodeid.x.", node.NodeIDTopic(n.ID())} {
		if _, err := n.Subscribe(prefix, 0); !errors.Is(err, node.ErrTopic) {
			t.Errorf("subscribe %q: %v", prefix, err)
		}
	}
	if err := n.Publish(context8(t), "", &event.Event{Name: "x"}); !errors.Is(err, node.ErrTopic) {
		t.Errorf("publish to no topic: %v", err)
	}
	if err := n.Publish(context8(t), "x", &event.Event{}); !errors.Is(err, event.ErrEnvelope) {
		t.Errorf("publish without a name: %v", err)
	}
	if err := n.WriteLogs(context8(t), []byte(testkit.LogBatch(t))); err == nil || !strings.Contains(err.Error(), "connect_log_endpoints") {
		t.Errorf("logs without loggers: %v", err)
	}
}

func TestLogsReachALogger(t *testing.T) {
	b := startBroker(t)
	pull := testkit.NewPeers(t).Bind(zmq.PULL)
	n := connect(t, b.at(), node.Set("connect_log_endpoints", pull.Endpoint))
	batch := testkit.LogBatch(t)
	if err := n.WriteLogs(context8(t), []byte(batch)); err != nil {
		t.Fatal(err)
	}
	if got := pull.RecvParts(); len(got) != 4 || got[1] != n.ID() || got[3] != batch {
		t.Errorf("got %q", got)
	}
	if err := n.WriteLogs(context8(t), []byte("x")); err == nil {
		t.Error("a malformed batch was taken")
	}
}

// With a logger that takes nothing, writing waits, and then says that it was in
// vain.
func TestOverload(t *testing.T) {
	n := connect(t, node.Endpoints(testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)),
		node.Set("connect_log_endpoints", testkit.FreeEndpoint(t)), node.Set("log_immediate", "T"), node.Set("linger_ms", "0"),
		node.Set("log_sndhwm", "2"), node.Set("overload_block_limit", "0.1"))
	batch := []byte(testkit.LogBatch(t))
	var err error
	for range 10 {
		if err = n.WriteLogs(context8(t), batch); err != nil {
			break
		}
	}
	if !errors.Is(err, node.ErrOverload) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := n.WriteLogs(ctx, batch); !errors.Is(err, node.ErrOverload) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if st := n.Stats(); st.Refused != 2 {
		t.Errorf("%+v", st)
	}
}

func TestManyNodesLeaveNothing(t *testing.T) {
	b := startBroker(t)
	once := func(i int) {
		n := join(t, fmt.Sprint("worker-", i), b.at())
		s := subscribe(t, n, "x.", 0)
		publish(t, n, "x.", "e")
		n.Close()
		s.Close()
	}
	once(0)
	before := testkit.InUse()
	for i := range 20 {
		once(i)
	}
	before.Returns(t)
}

func TestConcurrentUse(t *testing.T) {
	b := startBroker(t)
	from, to := connect(t, b.at()), connect(t, b.at())
	all := subscribe(t, to, "p.", 0)
	var group sync.WaitGroup
	for g := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 100 {
				e, _ := event.New("n", uint64(g))
				if err := from.Publish(context.Background(), "p.", e); err != nil {
					t.Error(err)
				}
				if s, err := to.Subscribe("p.q.", 1); err == nil {
					s.Close()
				}
				from.Stats()
			}
		}()
	}
	for range 800 {
		next(t, all)
	}
	group.Wait()
}
