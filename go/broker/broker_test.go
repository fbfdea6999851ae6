// SPDX-License-Identifier: BSD-3-Clause

package broker_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/broker"
	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// running is a broker under test, and where its peers connect.
type running struct {
	*broker.Broker
	tb         testing.TB
	stats      *broker.Stats
	peers      *testkit.Peers
	xpub, xsub string // endpoints
}

func start(tb testing.TB, change func(*options.Options)) *running {
	tb.Helper()
	o := options.Default()
	o.ListenXPubEndpoint, o.ListenXSubEndpoint = "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"
	if change != nil {
		change(&o)
	}
	r := &running{tb: tb, stats: broker.NewStats(), peers: testkit.NewPeers(tb)}
	var err error
	if r.Broker, err = broker.Start(o, r.stats); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		r.peers.Close()
		if err := r.Stop(); err != nil {
			tb.Errorf("stop: %v", err)
		}
	})
	r.xpub, r.xsub = r.Endpoints()
	return r
}

// subscriber is a node's receiving socket.
func (r *running) subscriber(setups ...testkit.Setup) *testkit.Peer {
	return r.peers.Connect(r.xpub, zmq.XSUB, setups...)
}

// publisher is a node's sending socket.
func (r *running) publisher(setups ...testkit.Setup) *testkit.Peer {
	return r.peers.Connect(r.xsub, zmq.XPUB, append(setups, func(s *zmq.Socket) error { return s.SetXpubVerbose(1) })...)
}

// scenario is what a broker must do, whichever it is: see [TestAsZMQProxy].
func scenario(t *testing.T, peers *testkit.Peers, xpub, xsub string) {
	sub1, sub2 := peers.Connect(xpub, zmq.XSUB), peers.Connect(xpub, zmq.XSUB)
	pub := peers.Connect(xsub, zmq.XPUB, func(s *zmq.Socket) error { return s.SetXpubVerbose(1) })
	expect := func(what string, p *testkit.Peer, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, p.RecvParts()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
	}

	sub1.Subscribe("a.")
	expect("first subscription", pub, "\x01a.")
	sub2.Subscribe("a.")
	expect("subscription already known", pub, "\x01a.")
	sub2.Subscribe("a.b.")
	expect("longer one", pub, "\x01a.b.")

	for _, parts := range [][]string{
		{"a."}, {"a.", ""}, {"a.x", "node", "broker-bin-v1", "payload"}, {"a.b.", "", "", ""},
		{"a.", strings.Repeat("x", 1<<20), "y"}, append([]string{"a."}, make([]string, 20)...),
	} {
		pub.SendParts(parts...)
		expect("event", sub1, parts...)
		expect("event", sub2, parts...)
	}
	pub.SendParts("A.", "nobody wants this")
	pub.SendParts("b.", "nor this")

	sub1.Unsubscribe("a.")
	sub1.Subscribe("c.")
	expect("withheld: an unsubscription of a shared topic", pub, "\x01c.")
	pub.SendParts("a.1", "x")
	pub.SendParts("c.1", "x")
	expect("after unsubscribing", sub1, "c.1", "x")
	expect("still subscribed", sub2, "a.1", "x")
	sub2.Unsubscribe("a.")
	expect("its last subscriber is gone", pub, "\x00a.")

	sub2.Subscribe("d.")
	expect("subscription", pub, "\x01d.")
	sub2.Close()
	gone := []string{pub.RecvParts()[0], pub.RecvParts()[0]}
	sort.Strings(gone)
	if diff := cmp.Diff([]string{"\x00a.b.", "\x00d."}, gone); diff != "" {
		t.Errorf("after a subscriber went without a word (-want +got):\n%s", diff)
	}

	// Late publishers learn of what is subscribed.
	late := peers.Connect(xsub, zmq.XPUB)
	expect("a late publisher", late, "\x01c.")
	late.SendParts("c.2", "y")
	expect("from a late publisher", sub1, "c.2", "y")
}

func TestForwards(t *testing.T) {
	r := start(t, nil)
	scenario(t, r.peers, r.xpub, r.xsub)
}

// The same holds for libzmq's own proxy, so that either can be the broker.
func TestAsZMQProxy(t *testing.T) {
	servers, peers := testkit.NewPeers(t), testkit.NewPeers(t)
	frontend := servers.Bind(zmq.XSUB)
	backend := servers.Bind(zmq.XPUB, testkit.Verboser, testkit.NoDrop)
	control := servers.BindTo("inproc://control", zmq.PAIR)
	remote := servers.Connect("inproc://control", zmq.PAIR)
	ended := testkit.Go(func() error { return zmq.ProxySteerable(frontend.Socket, backend.Socket, nil, control.Socket) })
	t.Cleanup(func() {
		remote.SendParts("TERMINATE")
		testkit.Result(t, "the proxy to end", ended)
	})
	scenario(t, peers, backend.Endpoint, frontend.Endpoint)
}

func TestStatsAreExact(t *testing.T) {
	r := start(t, nil)
	sub, pub := r.subscriber(), r.publisher()
	const many = 250
	sub.Subscribe("topic")
	pub.AwaitMessage("\x01topic")
	for range many {
		pub.SendParts("topic", "12345", "", "1234567890")
	}
	for range many {
		sub.RecvParts()
	}
	sub.Subscribe("x")
	pub.AwaitMessage("\x01x")
	sub.Unsubscribe("x")
	pub.AwaitMessage("\x00x")

	read := func() map[string]uint64 {
		return map[string]uint64{
			"frontend messages received": r.stats.FrontendMessagesReceived.Load(),
			"frontend bytes received":    r.stats.FrontendBytesReceived.Load(),
			"backend messages sent":      r.stats.BackendMessagesSent.Load(),
			"backend bytes sent":         r.stats.BackendBytesSent.Load(),
			"backend messages received":  r.stats.BackendMessagesReceived.Load(),
			"backend bytes received":     r.stats.BackendBytesReceived.Load(),
			"frontend messages sent":     r.stats.FrontendMessagesSent.Load(),
			"frontend bytes sent":        r.stats.FrontendBytesSent.Load(),
		}
	}
	want := map[string]uint64{
		"frontend messages received": many, "frontend bytes received": many * 20,
		"backend messages sent": many, "backend bytes sent": many * 20,
		"backend messages received": 3, "backend bytes received": 6 + 2 + 2,
		"frontend messages sent": 3, "frontend bytes sent": 6 + 2 + 2,
	}
	testkit.Eventually(t, "the counters", func() bool { return cmp.Equal(want, read()) || r.stats.FrontendMessagesSent.Load() > 3 })
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What arrives one way while the other is busy is not forgotten, although
// sending may take the news of it off the socket's descriptor.
func TestBothWaysAtATime(t *testing.T) {
	r := start(t, nil)
	sub, control, pub, other := r.subscriber(), r.subscriber(), r.publisher(), r.publisher()
	sub.Subscribe("t")
	pub.AwaitMessage("\x01t")
	for i := range 300 {
		topic := fmt.Sprint("topic", i)
		done := testkit.Go(func() error {
			for range 20 {
				if _, err := pub.SendMessage("t", "x"); err != nil {
					return err
				}
			}
			return nil
		})
		control.Subscribe(topic)
		if err := testkit.Result(t, "publishing", done); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			sub.RecvParts()
		}
		other.AwaitMessage("\x01" + topic)
		pub.AwaitMessage("\x01" + topic)
	}
}

// cpuTime is what the process has used.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A subscriber that does not receive holds up the events of all, unless
// listen_xpub_nodrop is off; subscriptions pass either way.
func TestSlowSubscriber(t *testing.T) {
	for _, nodrop := range []bool{true, false} {
		t.Run(fmt.Sprintf("listen_xpub_nodrop=%t", nodrop), func(t *testing.T) {
			const many = 6000 // more than the marks and the kernel's buffers hold
			payload := strings.Repeat("x", 10000)
			r := start(t, func(o *options.Options) { o.ListenXPubNoDrop = nodrop })
			slow, fast := r.subscriber(testkit.Small), r.subscriber(testkit.HWM(0))
			pub := r.publisher(testkit.HWM(0))
			slow.Subscribe("")
			pub.AwaitMessage("\x01")
			fast.Subscribe("")
			pub.AwaitMessage("\x01")
			for i := range many {
				pub.SendParts("t", fmt.Sprint(i), payload)
			}

			if nodrop {
				// Some are held back, and stay so.
				last, same := uint64(0), 0
				testkit.Eventually(t, "the broker to be full", func() bool {
					sent := r.stats.BackendMessagesSent.Load()
					if sent != last {
						last, same = sent, 0
					} else if sent > 0 {
						same++
					}
					return same > 50
				})
				if last >= many {
					t.Fatal("nothing is held back")
				}
				// Meanwhile the broker sleeps: it used all of a core once.
				before := cpuTime(t)
				time.Sleep(400 * time.Millisecond)
				if used := cpuTime(t) - before; used > 60*time.Millisecond {
					t.Errorf("used %v in 400 ms of waiting for room", used)
				}
			} else {
				testkit.Eventually(t, "the broker to take all", func() bool { return r.stats.BackendMessagesSent.Load() == many })
			}

			// Subscriptions pass.
			fast.Subscribe("u")
			pub.AwaitMessage("\x01u")

			// Both receive again: everything passes that was not dropped.
			until := func(p *testkit.Peer) <-chan int {
				return testkit.Go(func() int {
					for n := 0; ; n++ {
						if got, err := p.RecvMessage(0); err != nil || got[0] == "end" {
							return n
						}
					}
				})
			}
			slowly, fastly := until(slow), until(fast)
			testkit.Eventually(t, "both to reach the end", func() bool {
				pub.SendParts("end")
				return len(slowly) == 1 && len(fastly) == 1
			})
			if got := <-slowly; (got == many) != nodrop {
				t.Errorf("the slow one got %d of %d events", got, many)
			}
			if got := <-fastly; nodrop && got != many {
				t.Errorf("the fast one got %d of %d events", got, many)
			}
		})
	}
}

func TestStopForwardsWhatHasArrived(t *testing.T) {
	const many = 900
	r := start(t, func(o *options.Options) { o.LingerMs = 20000 })
	sub, pub := r.subscriber(), r.publisher()
	sub.Subscribe("")
	pub.AwaitMessage("\x01")
	payload := strings.Repeat("x", 5000)
	for i := range many {
		pub.SendParts("t", fmt.Sprint(i), payload)
	}
	testkit.Eventually(t, "all to arrive", func() bool { return r.stats.FrontendMessagesReceived.Load() == many })
	stopped := testkit.Go(r.Stop)
	for i := range many {
		if got := sub.RecvParts(); len(got) != 3 || got[1] != fmt.Sprint(i) {
			t.Fatalf("event %d is %.80q", i, got)
		}
	}
	if err := testkit.Result(t, "stop", stopped); err != nil {
		t.Error(err)
	}
}

func TestStopIsBoundedByLinger(t *testing.T) {
	for _, linger := range []int{0, 200, -1} { // -1: as the default
		t.Run(fmt.Sprint(linger), func(t *testing.T) {
			r := start(t, func(o *options.Options) { o.LingerMs = linger })
			stuck, pub := r.subscriber(testkit.Small), r.publisher(testkit.HWM(0))
			stuck.Subscribe("")
			pub.AwaitMessage("\x01")
			for range 3000 {
				pub.SendParts("t", strings.Repeat("x", 10000))
			}
			testkit.Eventually(t, "the broker to be busy", func() bool { return r.stats.BackendMessagesSent.Load() > 500 })
			begin := time.Now()
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 1500*time.Millisecond {
				t.Errorf("stop took %v", took)
			}
		})
	}
}

func TestStopTwice(t *testing.T) {
	for range 20 { // the second may come at any moment of the first
		r := start(t, func(o *options.Options) { o.LingerMs = 0 })
		first, second := testkit.Go(r.Stop), testkit.Go(r.Stop)
		for _, s := range []<-chan error{first, second, testkit.Go(r.Stop)} {
			if err := testkit.Result(t, "stop", s); err != nil {
				t.Error(err)
			}
		}
		testkit.Done(t, "done", r.Done())
	}
}

func TestStartErrorsNameOptionEndpointAndReasonAndLeaveNothing(t *testing.T) {
	taken := testkit.NewPeers(t).Bind(zmq.REP).Endpoint
	const secret = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
	before := testkit.Settled()
	for _, c := range []struct {
		change   func(*options.Options)
		endpoint string
		want     []string
	}{
		{func(o *options.Options) { o.ListenXPubEndpoint = taken }, taken, []string{"listen_xpub_endpoint", taken, "Address already in use"}},
		{func(o *options.Options) { o.ListenXSubEndpoint = taken }, taken, []string{"listen_xsub_endpoint", taken, "Address already in use"}},
		{func(o *options.Options) { o.ListenXSubEndpoint = "tcp:127.0.0.1" }, "tcp:127.0.0.1", []string{"listen_xsub_endpoint", "Invalid argument"}},
		{func(o *options.Options) { o.ListenXPubEndpoint = "bogus://x" }, "bogus://x", []string{"listen_xpub_endpoint", "Protocol not supported"}},
		{func(o *options.Options) { o.CurveServerSecretKey = secret[:39] }, "", []string{"curve_server_secretkey", "39"}},
		{func(o *options.Options) { o.CurveServerSecretKey, o.CurveClientPublicKey = secret, "x" }, "", []string{"curve_client_publickey"}},
	} {
		o := options.Default()
		o.ListenXPubEndpoint, o.ListenXSubEndpoint = "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"
		c.change(&o)
		b, err := broker.Start(o, broker.NewStats())
		if err == nil {
			b.Stop()
			t.Errorf("it started, want an error with %q", c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error %q does not say %q", err, want)
			}
		}
		if strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("the error %q shows a secret", err)
		}
		var at *engine.EndpointError
		if errors.As(err, &at) != (c.endpoint != "") || (at != nil && at.Endpoint != c.endpoint) {
			t.Errorf("%v, want the endpoint %q at fault", err, c.endpoint)
		}
	}
	before.Returns(t)
}

func TestThreeBrokersInAProcess(t *testing.T) {
	before := testkit.Settled()
	t.Run("brokers", func(t *testing.T) {
		for range 3 {
			r := start(t, nil)
			scenario(t, r.peers, r.xpub, r.xsub)
		}
	})
	before.Returns(t)
}

func TestProxyIOThreads(t *testing.T) {
	io := func() (n int) {
		for name, count := range testkit.Threads() {
			if strings.HasPrefix(name, "ZMQbg/IO") {
				n += count
			}
		}
		return n
	}
	for _, threads := range []int{1, 2, 5} {
		before := io()
		r := start(t, func(o *options.Options) { o.ProxyIOThreads = uint64(threads) })
		testkit.Eventually(t, fmt.Sprint(threads, " I/O threads"), func() bool { return io() == before+threads })
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		testkit.Eventually(t, "their end", func() bool { return io() == before })
	}
}

func TestGarbageAtEveryPort(t *testing.T) {
	r := start(t, func(o *options.Options) { o.MaxMessageSize = 1 << 20 })
	sub, pub := r.subscriber(), r.publisher()
	sub.Subscribe("")
	pub.AwaitMessage("\x01")
	testkit.SendGarbage(t, r.xpub)
	testkit.SendGarbage(t, r.xsub)
	for i := range 100 {
		pub.SendParts("t", fmt.Sprint(i))
	}
	for i := 0; i < 100; {
		if got := sub.RecvParts(); len(got) == 2 && got[1] == fmt.Sprint(i) {
			i++
		} // else the garbage was a message: it is forwarded like any
	}
	r.subscriber().Subscribe("late")
	pub.AwaitMessage("\x01late")
}

// A node that connects learns of every topic of the cluster, however many.
func TestLatePublisherLearnsOfThousandsOfTopics(t *testing.T) {
	const topics = 5000
	r := start(t, nil)
	sub, early := r.subscriber(testkit.HWM(0)), r.publisher()
	for i := range topics {
		sub.Subscribe(fmt.Sprintf("topic.%d.", i))
	}
	early.AwaitMessage(fmt.Sprintf("\x01topic.%d.", topics-1))

	late := r.publisher()
	seen := map[string]bool{}
	for len(seen) < topics {
		seen[late.RecvParts()[0]] = true
	}
}

func TestMaxMessageSize(t *testing.T) {
	const limit = 10000
	r := start(t, func(o *options.Options) { o.MaxMessageSize = limit })
	sub, pub := r.subscriber(), r.publisher().Watch()
	sub.Subscribe("t")
	pub.AwaitMessage("\x01t")
	pub.SendParts("t", strings.Repeat("x", limit+1))
	pub.AwaitEvent(zmq.EVENT_DISCONNECTED)
	pub.AwaitEvent(zmq.EVENT_HANDSHAKE_SUCCEEDED)
	testkit.Eventually(t, "an event after that", func() bool {
		pub.SendParts("t", strings.Repeat("x", limit))
		got := sub.TryRecv()
		return len(got) == 2 && len(got[1]) == limit
	})
}

// ---- With nodes ----

type node struct {
	*testkit.Host
	*engine.Engine
}

func join(t *testing.T, r *running, id string, change func(*options.Options)) *node {
	t.Helper()
	o := options.Default()
	o.NodeID, o.ConnectXSubEndpoint, o.ConnectXPubEndpoint = id, r.xpub, r.xsub
	if change != nil {
		change(&o)
	}
	n := &node{Host: testkit.NewHost(t)}
	var err error
	if n.Engine, err = engine.Start(n.Channel, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Engine.Stop() })
	return n
}

// Every node sees every subscription, its own included, gets the events that it
// subscribed to from all the others, and none of its own; and the loggers share
// the logs.
func TestACluster(t *testing.T) {
	const nodes, logs = 5, 40
	r := start(t, nil)
	loggers := []string{testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)}
	all := make([]*node, nodes)
	for i := range all {
		all[i] = join(t, r, fmt.Sprint("node-", i), func(o *options.Options) {
			if i < len(loggers) {
				o.ListenLogEndpoint = loggers[i]
			} else {
				o.ConnectLogEndpoints = loggers
			}
		})
		all[i].Host.Subscribe("all.")
		all[i].Host.Subscribe(fmt.Sprintf("nodeid.%d.", i))
	}
	for _, n := range all {
		for i := range all {
			n.AwaitTopic(t, cshim.Subscription, fmt.Sprintf("nodeid.%d.", i))
		}
	}
	for i, n := range all {
		n.Publish("all.", testkit.EventFormat, testkit.NumberedEvent(i))
		if i >= len(loggers) {
			for range logs {
				n.WriteLog(testkit.LogFormat, testkit.LogBatch(t))
			}
		}
	}
	for i, n := range all {
		var from []int
		for _, m := range n.Await(t, nodes-1, cshim.Event) {
			from = append(from, testkit.EventNumber(m.Payload))
		}
		sort.Ints(from)
		var want []int
		for j := range all {
			if j != i {
				want = append(want, j)
			}
		}
		if diff := cmp.Diff(want, from); diff != "" {
			t.Errorf("node %d got events from (-want +got):\n%s", i, diff)
		}
	}
	for i := range loggers {
		if got := len(all[i].Await(t, (nodes-2)*logs/2, cshim.Log)); got != (nodes-2)*logs/2 {
			t.Errorf("logger %d got %d batches", i, got)
		}
	}

	// One leaves: all others learn of it.
	if err := all[4].Engine.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, n := range all[:4] {
		n.AwaitTopic(t, cshim.Unsubscription, "nodeid.4.")
	}
}

// Nodes come back to a broker that went away, with their subscriptions.
func TestBrokerRestart(t *testing.T) {
	xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
	ports := func(o *options.Options) { o.ListenXPubEndpoint, o.ListenXSubEndpoint, o.LingerMs = xpub, xsub, 0 }
	first := start(t, ports)
	a, b := join(t, first, "a", nil), join(t, first, "b", nil)
	b.Host.Subscribe("t")
	a.AwaitTopic(t, cshim.Subscription, "t")
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	before := len(a.Of(cshim.Subscription))

	start(t, ports)
	a.Await(t, before+1, cshim.Subscription)
	testkit.Eventually(t, "an event", func() bool {
		a.Publish("t", testkit.EventFormat, testkit.NumberedEvent(1))
		return len(b.Of(cshim.Event)) > 0
	})
}

// A node of the broker's process reaches it without the network, and is a member
// like any other.
func TestOwnBroker(t *testing.T) {
	base := testkit.Settled()
	t.Cleanup(func() { base.Returns(t) })
	xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
	r := start(t, func(o *options.Options) { o.ListenXPubEndpoint, o.ListenXSubEndpoint = xpub, xsub })
	own := join(t, r, "own", func(o *options.Options) { o.OwnBroker = true })
	own.Host.Subscribe("own.")
	own.AwaitTopic(t, cshim.Subscription, "own.")
	if testkit.TCPUsed(t, xpub) || testkit.TCPUsed(t, xsub) {
		t.Error("there is a TCP connection to the broker")
	}
	for i, m := range own.Await(t, 4, cshim.Monitor) {
		if want := []string{xsub, xpub}[i/2]; m.Topic != want {
			t.Errorf("monitoring event %d is of %q, want %q", i, m.Topic, want)
		}
	}

	other := join(t, r, "other", nil)
	other.Host.Subscribe("other.")
	own.AwaitTopic(t, cshim.Subscription, "other.")
	other.AwaitTopic(t, cshim.Subscription, "own.")
	if !testkit.TCPUsed(t, xpub) || !testkit.TCPUsed(t, xsub) {
		t.Error("a node that was not told of the broker is not connected by TCP")
	}

	const many = 5000
	for i := range many {
		own.Publish("other.", testkit.EventFormat, testkit.NumberedEvent(i))
		other.Publish("own.", testkit.EventFormat, testkit.NumberedEvent(i))
		own.Publish("own.", testkit.EventFormat, testkit.NumberedEvent(-1)) // does not come back
		if i%500 == 499 {
			testkit.Eventually(t, "events", func() bool {
				return len(own.Of(cshim.Event)) == i+1 && len(other.Of(cshim.Event)) == i+1
			})
		}
	}
	for _, n := range []*node{own, other} {
		for i, m := range n.Of(cshim.Event) {
			if got := testkit.EventNumber(m.Payload); got != i {
				t.Fatalf("event %d is number %d", i, got)
			}
		}
	}
	if got := own.Counters.OnloopDrops.Load() + own.Counters.XPubDrops.Load(); got != 0 {
		t.Errorf("%d events were dropped", got)
	}

	// What it publishes last still goes out, and others see it leave.
	own.Publish("other.", testkit.EventFormat, testkit.NumberedEvent(many))
	if err := own.Engine.Stop(); err != nil {
		t.Fatal(err)
	}
	other.AwaitTopic(t, cshim.Unsubscription, "own.")
	other.Await(t, many+1, cshim.Event)
}

// switches is how often the broker's thread has gone to sleep.
func switches(t *testing.T) (n int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		if !strings.HasPrefix(string(text), "Name:\tzeekzmq-broker\n") {
			continue
		}
		found++
		_, after, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
		if _, err := fmt.Sscan(after, &n); err != nil {
			t.Fatal(err)
		}
	}
	if found != 1 {
		t.Fatalf("there are %d threads of brokers", found)
	}
	return n
}

// A node of the broker's process runs the broker on its own thread. While such
// nodes come and go, others lose nothing.
func TestOwnBrokerIsLent(t *testing.T) {
	xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
	r := start(t, func(o *options.Options) { o.ListenXPubEndpoint, o.ListenXSubEndpoint = xpub, xsub })
	a, b := join(t, r, "a", nil), join(t, r, "b", nil)
	b.Host.Subscribe("t")
	a.AwaitTopic(t, cshim.Subscription, "t")

	sent := 0
	pass := func(n int) {
		t.Helper()
		for range n {
			a.Publish("t", testkit.EventFormat, testkit.NumberedEvent(sent))
			sent++
		}
		testkit.Eventually(t, "events", func() bool { return len(b.Of(cshim.Event)) == sent })
	}
	pass(100)
	for i := range 20 {
		own := join(t, r, fmt.Sprint("own-", i), func(o *options.Options) { o.OwnBroker = true })
		topic := fmt.Sprint("own-", i)
		own.Host.Subscribe(topic)
		a.AwaitTopic(t, cshim.Subscription, topic)
		if i == 0 {
			before := switches(t)
			for range 20 {
				pass(10)
			}
			if n := switches(t) - before; n > 0 {
				t.Errorf("the broker's thread ran %d times", n)
			}
			if !r.Alive(5 * time.Second) {
				t.Error("a broker that is lent does not live")
			}
			// A second one does without, until the first has ended.
			second := join(t, r, "second", func(o *options.Options) { o.OwnBroker = true })
			second.Host.Subscribe("second")
			a.AwaitTopic(t, cshim.Subscription, "second")
			pass(10)
			if err := second.Engine.Stop(); err != nil {
				t.Error(err)
			}
		}
		for range 300 {
			a.Publish("t", testkit.EventFormat, testkit.NumberedEvent(sent))
			sent++
		}
		if err := own.Engine.Stop(); err != nil { // amid these
			t.Error(err)
		}
		a.AwaitTopic(t, cshim.Unsubscription, topic)
		pass(10)
	}
	for i, m := range b.Of(cshim.Event) {
		if got := testkit.EventNumber(m.Payload); got != i {
			t.Fatalf("event %d is number %d", i, got)
		}
	}
	if !r.Alive(5 * time.Second) {
		t.Error("the broker does not live")
	}
}

// Where the node's options mean another broker, or keys are to be checked, the
// network it is.
func TestOwnBrokerElsewhere(t *testing.T) {
	serverPublic, serverSecret := testkit.Keypair(t)
	clientPublic, clientSecret := testkit.Keypair(t)
	keys := func(o *options.Options) {
		o.CurveServerPublicKey, o.CurveServerSecretKey = serverPublic, serverSecret
		o.CurveClientPublicKey, o.CurveClientSecretKey = clientPublic, clientSecret
	}
	for name, change := range map[string]func(*options.Options){
		"keys": keys,
		"another endpoint": func(o *options.Options) {
			o.ListenXPubEndpoint = strings.Replace(o.ListenXPubEndpoint, "127.0.0.1", "*", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
			r := start(t, func(o *options.Options) {
				o.ListenXPubEndpoint, o.ListenXSubEndpoint = xpub, xsub
				change(o)
			})
			r.xpub = xpub
			n := join(t, r, "n", func(o *options.Options) {
				o.OwnBroker = true
				if name == "keys" {
					keys(o)
				}
			})
			n.Host.Subscribe("t")
			n.AwaitTopic(t, cshim.Subscription, "t")
			if !testkit.TCPUsed(t, xpub) {
				t.Error("it is not connected by TCP")
			}
		})
	}
}

// The broker may end before its own node does.
func TestOwnBrokerEndsFirst(t *testing.T) {
	base := testkit.Settled()
	t.Cleanup(func() { base.Returns(t) })
	xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
	r := start(t, func(o *options.Options) { o.ListenXPubEndpoint, o.ListenXSubEndpoint = xpub, xsub })
	own := join(t, r, "own", func(o *options.Options) { o.OwnBroker = true })
	own.Host.Subscribe("own.")
	own.AwaitTopic(t, cshim.Subscription, "own.")
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		own.Publish("own.", testkit.EventFormat, testkit.NumberedEvent(i))
	}
	testkit.Eventually(t, "the engine to take the events", func() bool { return own.Waiting() == 0 })
	if err := own.Engine.Stop(); err != nil {
		t.Error(err)
	}
}

func TestCurve(t *testing.T) {
	serverPublic, serverSecret := testkit.Keypair(t)
	clientPublic, clientSecret := testkit.Keypair(t)
	strangerPublic, strangerSecret := testkit.Keypair(t)
	keys := func(o *options.Options) {
		o.CurveServerPublicKey, o.CurveServerSecretKey = serverPublic, serverSecret
		o.CurveClientPublicKey, o.CurveClientSecretKey = clientPublic, clientSecret
	}
	r := start(t, keys)
	a, b := join(t, r, "a", keys), join(t, r, "b", keys)
	b.Host.Subscribe("t")
	a.AwaitTopic(t, cshim.Subscription, "t")
	a.Publish("t", testkit.EventFormat, testkit.Event(t))
	b.Await(t, 1, cshim.Event)

	refused := []zmq.Event{zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
		zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED}
	for _, port := range []struct {
		endpoint string
		kind     zmq.Type
	}{{r.xpub, zmq.XSUB}, {r.xsub, zmq.XPUB}} {
		stranger := r.peers.Socket(port.kind, testkit.CurveClient(serverPublic, strangerPublic, strangerSecret)).Watch()
		plain := r.peers.Socket(port.kind).Watch()
		for _, p := range []*testkit.Peer{stranger, plain} {
			if err := p.Connect(port.endpoint); err != nil {
				t.Fatal(err)
			}
		}
		if got := stranger.AwaitEvent(refused...); got != zmq.EVENT_HANDSHAKE_FAILED_AUTH {
			t.Errorf("a stranger's key: %v, want EVENT_HANDSHAKE_FAILED_AUTH", got)
		}
		if got := plain.AwaitEvent(refused...); got == zmq.EVENT_HANDSHAKE_SUCCEEDED {
			t.Error("a peer without encryption was let in")
		}
	}
	a.Publish("t", testkit.EventFormat, testkit.Event(t))
	b.Await(t, 2, cshim.Event)
}
