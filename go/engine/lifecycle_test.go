// SPDX-License-Identifier: BSD-3-Clause

package engine_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// awaitMonitor waits for a monitor's event about an endpoint.
func (n *node) awaitMonitor(event zmq.Event, endpoint string) uint32 {
	n.tb.Helper()
	var value uint32
	testkit.Eventually(n.tb, fmt.Sprintf("monitor's event %v of %s", event, endpoint), func() bool {
		for _, m := range n.Of(cshim.Monitor) {
			number := binary.NativeEndian.Uint32([]byte(m.Payload))
			value = binary.NativeEndian.Uint32([]byte(m.Payload)[4:])
			if zmq.Event(number) == event && m.Topic == endpoint {
				return true
			}
		}
		return false
	})
	return value
}

func TestMonitorsTellOfConnections(t *testing.T) {
	n, o := prepare(t, nil)
	pull := logger(n)
	o.ConnectLogEndpoints = []string{pull.Endpoint}
	n.start(o)
	for _, endpoint := range []string{n.pub.Endpoint, n.sub.Endpoint, pull.Endpoint} {
		n.awaitMonitor(zmq.EVENT_CONNECTED, endpoint)
		n.awaitMonitor(zmq.EVENT_HANDSHAKE_SUCCEEDED, endpoint)
	}
	pull.Close()
	n.awaitMonitor(zmq.EVENT_DISCONNECTED, pull.Endpoint)
	if ms := n.awaitMonitor(zmq.EVENT_CONNECT_RETRIED, pull.Endpoint); ms == 0 || ms > 1000 {
		t.Errorf("retried with the value %d, want the milliseconds until then", ms)
	}
}

func TestMonitorsTellOfFailedHandshakes(t *testing.T) {
	endpoint, answered := testkit.ServeGarbage(t, "unknown mechanism")
	n := start(t, func(o *options.Options) { o.ConnectXSubEndpoint = endpoint })
	n.awaitMonitor(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, endpoint)
	testkit.Eventually(t, "the stranger to hang up", func() bool { return answered() > 0 })
}

func TestStopSendsWhatIsQueued(t *testing.T) {
	const many = 900
	n, o := prepare(t, func(o *options.Options) { o.LingerMs = 20000 })
	pull := logger(n)
	o.ConnectLogEndpoints = []string{pull.Endpoint}
	n.start(o).heard("")
	for i := range many {
		n.Publish("t", testkit.EventFormat, testkit.NumberedEvent(i))
		n.WriteLog(testkit.LogFormat, testkit.NumberedEvent(i))
	}
	stopped := testkit.Go(n.Engine.Stop)
	if err := inOrder(n.sub, many); err != nil {
		t.Error(err)
	}
	if err := inOrder(pull, many); err != nil {
		t.Error(err)
	}
	if err := testkit.Result(t, "stop", stopped); err != nil {
		t.Error(err)
	}
}

// Within linger_ms, a logger that comes late still gets what was queued.
func TestStopWaitsForAPeerThatComesLate(t *testing.T) {
	for _, linger := range []int{20000, -1} {
		t.Run(fmt.Sprint(linger), func(t *testing.T) {
			const many = 100
			endpoint := testkit.FreeEndpoint(t)
			n := start(t, func(o *options.Options) { o.ConnectLogEndpoints, o.LingerMs = []string{endpoint}, linger })
			for i := range many {
				n.WriteLog(testkit.LogFormat, testkit.NumberedEvent(i))
			}
			stopped := testkit.Go(n.Engine.Stop)
			testkit.Eventually(t, "the engine to flush", func() bool { return n.Stopping() && n.Waiting() == 0 })
			select {
			case err := <-stopped:
				t.Fatalf("stopped (%v) with log batches unsent", err)
			default:
			}
			late := n.peers.BindTo(endpoint, zmq.PULL)
			if err := inOrder(late, many); err != nil {
				t.Error(err)
			}
			if err := testkit.Result(t, "stop", stopped); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStopWithADeadPeerTakesLingerAndNoLonger(t *testing.T) {
	for _, linger := range []time.Duration{0, 300 * time.Millisecond} {
		t.Run(linger.String(), func(t *testing.T) {
			endpoint := testkit.FreeEndpoint(t)
			n := start(t, func(o *options.Options) {
				o.ConnectLogEndpoints, o.LingerMs = []string{endpoint}, int(linger.Milliseconds())
			})
			for range 100 {
				n.WriteLog(testkit.LogFormat, testkit.LogBatch(t))
			}
			testkit.Eventually(t, "the engine to take all", func() bool { return n.Waiting() == 0 })
			begin := time.Now()
			n.stop()
			if took := time.Since(begin); took < linger-20*time.Millisecond || took > linger+900*time.Millisecond {
				t.Errorf("stop took %v with a linger of %v", took, linger)
			}
		})
	}
}

// A subscriber that has stopped reading does not hold up a stop either.
func TestStopWithAStuckSubscriber(t *testing.T) {
	n := slow(t, func(o *options.Options) { o.XPubSndHWM, o.LingerMs = 50, 200 })
	n.publish(500)
	begin := time.Now()
	n.stop()
	if took := time.Since(begin); took > 1200*time.Millisecond {
		t.Errorf("stop took %v", took)
	}
}

func TestStopTwice(t *testing.T) {
	n := start(t, nil)
	both := []<-chan error{testkit.Go(n.Engine.Stop), testkit.Go(n.Engine.Stop)}
	for _, one := range both {
		if err := testkit.Result(t, "stop", one); err != nil {
			t.Error(err)
		}
	}
	n.stop()
	testkit.Done(t, "done", n.Done())
}

// After a stop the inbox holds what had arrived, and the channel serves another
// engine no more, having been told to stop.
func TestInboxOutlivesTheEngine(t *testing.T) {
	n := start(t, nil).subscribed("")
	n.event("t", testkit.NumberedEvent(1))
	n.counter("events received", &n.Counters.EventsReceived, 1)
	n.stop()
	if got := n.Of(cshim.Event); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestStartErrorsNameOptionAndValueAndLeaveNothing(t *testing.T) {
	taken := testkit.NewPeers(t).Bind(zmq.REP).Endpoint
	const secret = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
	for _, c := range []struct {
		name     string
		change   func(*options.Options)
		endpoint string // at fault
		want     []string
	}{
		{"port in use", func(o *options.Options) { o.ListenLogEndpoint = taken }, taken, []string{"listen_log_endpoint", taken, "Address already in use"}},
		{"listen without transport", func(o *options.Options) { o.ListenLogEndpoint = "127.0.0.1:1" }, "127.0.0.1:1", []string{"listen_log_endpoint", "127.0.0.1:1", "Invalid argument"}},
		{"listen at somebody else's address", func(o *options.Options) { o.ListenLogEndpoint = "tcp://192.0.2.1:4444" }, "tcp://192.0.2.1:4444", []string{"listen_log_endpoint", "192.0.2.1:4444"}},
		{"xpub", func(o *options.Options) { o.ConnectXPubEndpoint = "tcp:/127.0.0.1:1" }, "tcp:/127.0.0.1:1", []string{"connect_xpub_endpoint", "tcp:/127.0.0.1:1", "Invalid argument"}},
		{"xsub", func(o *options.Options) { o.ConnectXSubEndpoint = "" }, "", []string{"connect_xsub_endpoint", "Invalid argument"}},
		{"unknown transport", func(o *options.Options) { o.ConnectXSubEndpoint = "bogus://x" }, "bogus://x", []string{"connect_xsub_endpoint", "bogus://x", "Protocol not supported"}},
		{"second log endpoint", func(o *options.Options) { o.ConnectLogEndpoints = []string{"tcp://127.0.0.1:1", "tcp://"} }, "tcp://", []string{"connect_log_endpoints", "tcp://"}},
		{"no node id", func(o *options.Options) { o.NodeID = "" }, "", []string{"node_id"}},
		{"short key", func(o *options.Options) { o.CurveClientSecretKey = secret[:39] }, "", []string{"curve_client_secretkey", "39"}},
		{"no key", func(o *options.Options) { o.CurveServerSecretKey = secret[:39] + " " }, "", []string{"curve_server_secretkey", "40"}},
		{"no public key", func(o *options.Options) { o.CurveServerPublicKey = "x" }, "", []string{"curve_server_publickey"}},
		{"no public key", func(o *options.Options) { o.CurveClientPublicKey = "x" }, "", []string{"curve_client_publickey"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, o := prepare(t, func(o *options.Options) { o.ConnectLogEndpoints = []string{"tcp://127.0.0.1:1"} })
			n.Host.Subscribe("early")
			before := testkit.Settled()
			bad := o
			c.change(&bad)
			e, err := engine.Start(n.Channel, bad)
			if err == nil {
				e.Stop()
				t.Fatal("it started")
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
			if isEndpoint := errors.As(err, &at); isEndpoint && at.Endpoint != c.endpoint {
				t.Errorf("endpoint %q is at fault, want %q", at.Endpoint, c.endpoint)
			} else if !isEndpoint && c.endpoint != "" {
				t.Errorf("%T, want *engine.EndpointError", err)
			}
			before.Returns(t)

			// The channel is untouched.
			n.start(o)
			n.pub.AwaitMessage("\x01early")
		})
	}
}

// A panic is told to the host with its stack, ends the engine alone, and leaves
// nothing behind.
func TestPanic(t *testing.T) {
	before := testkit.Settled()
	t.Cleanup(func() { before.Returns(t) })

	other := start(t, nil)
	n, o := prepare(t, func(o *options.Options) { o.DebugFlags = options.DebugPanic })
	e, err := engine.Start(n.Channel, o)
	if err != nil {
		t.Fatal(err)
	}
	n.Publish("t", testkit.EventFormat, testkit.Event(t))
	testkit.Done(t, "the engine to end", e.Done())

	told := n.Await(t, 1, cshim.Fatal)
	for _, want := range []string{"debug_flags asked for it", "engine.go:", "goroutine"} {
		if len(told) != 1 || !strings.Contains(told[0].Payload, want) {
			t.Errorf("told %v, want one message with %q", told, want)
		}
	}
	for range 2 {
		var p *engine.PanicError
		if err := e.Stop(); !errors.As(err, &p) {
			t.Errorf("stop: %v, want an *engine.PanicError", err)
		} else if p.Value != "debug_flags asked for it" || len(p.Stack) == 0 {
			t.Errorf("%v", p)
		}
	}
	other.heard("still alive")
}

// ---- Many engines ----

func engineThreads() (engines, io int) {
	for name, n := range testkit.Threads() {
		switch {
		case name == "zeekzmq-engine":
			engines += n
		case strings.HasPrefix(name, "ZMQbg/IO"):
			io += n
		}
	}
	return engines, io
}

func TestTwentyNodesShareAContextAndLeaveNothing(t *testing.T) {
	const many = 20
	peers := testkit.NewPeers(t)
	pub, sub := peers.Bind(zmq.XPUB), peers.Bind(zmq.XSUB)
	hosts := make([]*testkit.Host, many)
	engines := make([]*engine.Engine, many)
	for i := range many {
		hosts[i] = testkit.NewHost(t)
	}
	withHosts := testkit.Settled()
	_, ioBefore := engineThreads()
	for i := range many {
		o := options.Default()
		o.NodeID = fmt.Sprint("node-", i)
		o.ConnectXSubEndpoint, o.ConnectXPubEndpoint = pub.Endpoint, sub.Endpoint
		o.ListenLogEndpoint = testkit.FreeEndpoint(t)
		o.LingerMs = 0
		var err error
		if engines[i], err = engine.Start(hosts[i].Channel, o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { engines[i].Stop() })
	}
	testkit.Eventually(t, "a thread for each engine", func() bool { n, _ := engineThreads(); return n == many })
	if _, io := engineThreads(); io != ioBefore+1 {
		t.Errorf("%d I/O threads for %d nodes, want 1", io-ioBefore, many)
	}

	// Every one of them works.
	seen := map[string]bool{}
	for i, h := range hosts {
		h.Subscribe(fmt.Sprint("topic-", i))
	}
	for len(seen) < many {
		seen[pub.RecvParts()[0]] = true
	}

	stops := make([]<-chan error, many)
	for i, e := range engines {
		stops[i] = testkit.Go(e.Stop)
	}
	for _, s := range stops {
		if err := testkit.Result(t, "stop", s); err != nil {
			t.Error(err)
		}
	}
	noticed(t, withHosts, pub, sub)
	withHosts.Returns(t)
}

func TestStartAndStopTwoHundredTimes(t *testing.T) {
	peers := testkit.NewPeers(t)
	pub, sub := peers.Bind(zmq.XPUB), peers.Bind(zmq.XSUB)
	once := func(i int) {
		h := testkit.NewHost(t)
		o := options.Default()
		o.NodeID = fmt.Sprint("node-", i)
		o.ConnectXSubEndpoint, o.ConnectXPubEndpoint, o.LingerMs = pub.Endpoint, sub.Endpoint, 0
		o.ConnectLogEndpoints = []string{pub.Endpoint} // no logger: the handshake fails
		topic := fmt.Sprint("t", i)
		h.Subscribe(topic)
		e, err := engine.Start(h.Channel, o)
		if err != nil {
			t.Fatal(err)
		}
		stopped := false
		t.Cleanup(func() {
			if !stopped { // else its channel is gone
				e.Stop()
			}
		})
		if i%2 == 0 { // else stopped at once
			pub.AwaitMessage("\x01" + topic)
		}
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
		stopped = true
		h.Release()
	}
	once(0)
	base := testkit.Settled()
	// Not 0 again: an XPUB tells of a topic only when it is new to it, and it may
	// not have noticed yet that the first node is gone.
	for i := range 200 {
		once(i + 1)
	}
	noticed(t, base, pub, sub)
	base.Returns(t)
}

// noticed waits until peers have closed their side of connections that are gone.
func noticed(t *testing.T, base testkit.Use, peers ...*testkit.Peer) {
	t.Helper()
	testkit.Eventually(t, "the peers to notice", func() bool {
		for _, p := range peers {
			for p.TryRecv() != nil {
			}
		}
		return len(testkit.InUse().Descriptors) <= len(base.Descriptors)
	})
}

// A node that is stopping, with sockets that linger and connections that come
// and go, does not hold up the other nodes of the process.
func TestStoppingANodeDoesNotStallOthers(t *testing.T) {
	dead, answered := testkit.ServeGarbage(t, "nothing") // accepts and hangs up
	leaving := start(t, func(o *options.Options) { o.ConnectLogEndpoints, o.LingerMs = []string{dead}, 3000 })
	staying := start(t, nil).subscribed("").heard("")
	leaving.WriteLog(testkit.LogFormat, testkit.LogBatch(t))
	leaving.awaitMonitor(zmq.EVENT_DISCONNECTED, dead)
	stopped := testkit.Go(leaving.Engine.Stop)

	// While the other lingers, connecting again and again.
	before := answered()
	for i := 0; answered() < before+8; i++ {
		staying.event("t", testkit.NumberedEvent(i))
		staying.Await(t, i+1, cshim.Event)
		staying.Publish("t", testkit.EventFormat, testkit.NumberedEvent(i))
		staying.sub.RecvParts()
		newcomer := start(t, func(o *options.Options) { o.LingerMs = 0 })
		newcomer.stop()
	}
	if err := testkit.Result(t, "stop", stopped); err != nil {
		t.Error(err)
	}
}

// Stopping and starting at the same time, the context comes and goes.
func TestNodesComeAndGoConcurrently(t *testing.T) {
	results := make([]<-chan error, 4)
	for w := range results {
		hosts := make([]*testkit.Host, 25)
		for i := range hosts {
			hosts[i] = testkit.NewHost(t)
		}
		results[w] = testkit.Go(func() error {
			for i, h := range hosts {
				o := options.Default()
				o.NodeID, o.LingerMs = fmt.Sprint(w, "-", i), 0
				o.ConnectXSubEndpoint, o.ConnectXPubEndpoint = "tcp://127.0.0.1:1", "tcp://127.0.0.1:1"
				e, err := engine.Start(h.Channel, o)
				if err != nil {
					return err
				}
				h.Publish("t", testkit.EventFormat, "x")
				if err := e.Stop(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, r := range results {
		if err := testkit.Result(t, "the nodes", r); err != nil {
			t.Error(err)
		}
	}
}

// A channel that C made is the same channel.
func TestChannelOfACHost(t *testing.T) {
	h := testkit.NewHost(t)
	if cshim.ChannelAt(h.Pointer()).Counters != h.Counters || unsafe.Pointer(h.Counters) == nil {
		t.Error("other counters")
	}
}

// ---- Strangers ----

func TestGarbageAtTheLogPort(t *testing.T) {
	n, push := listening(t, func(o *options.Options) { o.MaxMessageSize = 1 << 20 })
	endpoint, _ := push.GetLastEndpoint()
	testkit.SendGarbage(t, endpoint)
	push.SendParts("log-write", "node-2", testkit.LogFormat, testkit.LogBatch(t))
	n.Await(t, 1, cshim.Log)
	n.heard("still alive")
	if got := n.Of(cshim.Fatal); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// What answers at the broker's and the loggers' endpoints may not be them.
func TestGarbageInsteadOfABroker(t *testing.T) {
	for name := range testkit.Garbage() {
		t.Run(name, func(t *testing.T) {
			endpoint, answered := testkit.ServeGarbage(t, name)
			n := start(t, func(o *options.Options) {
				o.ConnectXSubEndpoint, o.ConnectXPubEndpoint, o.ConnectLogEndpoints = endpoint, endpoint, []string{endpoint}
				o.LingerMs = 0
			})
			n.Host.Subscribe("t")
			testkit.Eventually(t, "an answer to each socket", func() bool { return answered() >= 3 })
			n.Publish("t", testkit.EventFormat, testkit.Event(t))
			n.WriteLog(testkit.LogFormat, testkit.LogBatch(t))
			testkit.Eventually(t, "the engine to take all", func() bool { return n.Waiting() == 0 })
			n.stop()
			if got := n.Of(cshim.Fatal); len(got) != 0 {
				t.Errorf("%v", got)
			}
		})
	}
}
