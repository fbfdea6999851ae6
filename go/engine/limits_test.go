// SPDX-License-Identifier: BSD-3-Clause

package engine_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// big is an event of which few fill the kernel's buffers.
var big = testkit.EventOfSize(100 << 10)

// slow makes the node's one subscriber, of everything, a peer that takes in
// next to nothing until it receives.
func slow(t *testing.T, change func(*options.Options)) *node {
	t.Helper()
	n, o := prepare(t, change)
	n.sub.Close()
	n.sub = n.peers.Bind(zmq.XSUB, testkit.Small).Watch()
	o.ConnectXPubEndpoint = n.sub.Endpoint
	return n.start(o).heard("")
}

// publish queues n big events and waits until the engine has taken them.
func (n *node) publish(events int) {
	n.tb.Helper()
	for range events {
		n.Publish("t", testkit.EventFormat, big)
	}
	testkit.Eventually(n.tb, "the engine to take all", func() bool { return n.Waiting() == 0 })
}

func TestEventsOverXPubSndHWMAreDroppedCountedAndToldOnce(t *testing.T) {
	const events = 500
	n := slow(t, func(o *options.Options) { o.XPubSndHWM, o.XPubSndBuf = 5, 4096 })
	n.publish(events)
	testkit.Eventually(t, "counters", func() bool {
		return n.Counters.EventsSent.Load()+n.Counters.XPubDrops.Load() == events
	})
	sent, drops := n.Counters.EventsSent.Load(), n.Counters.XPubDrops.Load()
	if drops < events/2 || sent < 5 {
		t.Errorf("%d sent, %d dropped", sent, drops)
	}
	if told := n.Await(t, 1, cshim.Warning); len(told) != 1 || !strings.Contains(told[0].Payload, "xpub_sndhwm") {
		t.Errorf("told %v, want one warning that names xpub_sndhwm", told)
	}

	// What was not dropped arrives, and nothing else.
	for i := range sent {
		if got := n.sub.RecvParts(); len(got) != 4 || got[3] != big {
			t.Fatalf("event %d: %d parts", i, len(got))
		}
	}
	n.Publish("last", testkit.EventFormat, testkit.NumberedEvent(1))
	if got := n.sub.RecvParts(); got[0] != "last" {
		t.Errorf("%q follows the %d events that were sent", got[0], sent)
	}

	n.stop()
	told := n.Of(cshim.Warning)
	if len(told) != 2 || !strings.Contains(told[1].Payload, fmt.Sprintf("%d events", drops)) {
		t.Errorf("told %v, want the number %d at the end", told, drops)
	}
}

// Without connect_xpub_nodrop, libzmq drops in silence.
func TestWithoutNoDropDropsGoUnnoticed(t *testing.T) {
	const events = 500
	n := slow(t, func(o *options.Options) { o.XPubSndHWM, o.XPubSndBuf, o.ConnectXPubNoDrop = 5, 4096, false })
	n.publish(events)
	n.counter("events sent", &n.Counters.EventsSent, events)
	n.counter("drops", &n.Counters.XPubDrops, 0)
	got := 0
	testkit.Eventually(t, "an event that follows what was dropped", func() bool {
		n.Publish("last", testkit.EventFormat, testkit.NumberedEvent(1))
		for m := n.sub.TryRecv(); m != nil; m = n.sub.TryRecv() {
			if m[0] == "last" {
				return true
			}
			got++
		}
		return false
	})
	if got > events/2 {
		t.Errorf("%d of %d events arrived", got, events)
	}
	if told := n.Of(cshim.Warning); len(told) != 0 {
		t.Errorf("told %v", told)
	}
}

func TestEventsOverOnloopQueueHWMAreDroppedAndAllElsePasses(t *testing.T) {
	const events, mark, others = 300, 10, 50
	n, push := listening(t, func(o *options.Options) { o.OnloopHWM = mark })
	n.subscribed("")
	for i := range events {
		n.event("t", testkit.NumberedEvent(i))
	}
	n.counter("drops", &n.Counters.OnloopDrops, events-mark)
	n.counter("events received", &n.Counters.EventsReceived, mark)

	for i := range others {
		push.SendParts("log-write", "node-2", testkit.LogFormat, testkit.LogBatch(t))
		n.sub.Subscribe(fmt.Sprint("topic", i))
	}
	testkit.Eventually(t, "logs and subscriptions", func() bool {
		return n.InboxDepth(testkit.ClassLog) == others && n.InboxDepth(testkit.ClassControl) >= others
	})
	if got := n.InboxDepth(testkit.ClassEvent); got != mark {
		t.Errorf("%d events in the inbox, want %d", got, mark)
	}
	if diff := cmp.Diff(upTo(mark), numbers(n.Of(cshim.Event))); diff != "" {
		t.Errorf("the oldest events stay (-want +got):\n%s", diff)
	}
	if got := len(n.Await(t, others, cshim.Subscription)); got != others { // monitoring events count as control too
		t.Errorf("%d subscriptions, want %d", got, others)
	}
	if told := n.Of(cshim.Warning); len(told) != 1 || !strings.Contains(told[0].Payload, "onloop_queue_hwm") {
		t.Errorf("told %v, want one warning that names onloop_queue_hwm", told)
	}

	// With room again, events pass again.
	n.event("t", testkit.NumberedEvent(events))
	if got := numbers(n.Await(t, mark+1, cshim.Event)); got[mark] != events {
		t.Errorf("events %v", got)
	}
	n.stop()
	if told := n.Of(cshim.Warning); len(told) != 2 || !strings.Contains(told[1].Payload, fmt.Sprintf("%d events", events-mark)) {
		t.Errorf("told %v, want the number %d at the end", told, events-mark)
	}
}

func TestOnloopQueueHWMOfZeroIsNoBound(t *testing.T) {
	const events = 15000 // more than the default
	n := start(t, func(o *options.Options) { o.OnloopHWM = 0 }).subscribed("")
	for i := range events {
		n.event("t", testkit.NumberedEvent(i))
	}
	testkit.Eventually(t, "all events", func() bool { return n.InboxDepth(testkit.ClassEvent) == events })
	n.counter("drops", &n.Counters.OnloopDrops, 0)
}

func TestLogBatchesOverLogSndHWMAreDroppedCountedAndToldOnce(t *testing.T) {
	const batches, mark = 100, 10
	for _, immediate := range []bool{false, true} {
		t.Run(fmt.Sprintf("log_immediate=%t", immediate), func(t *testing.T) {
			endpoint := testkit.FreeEndpoint(t)
			n := start(t, func(o *options.Options) {
				o.LogSndHWM, o.LogImmediate, o.ConnectLogEndpoints, o.LingerMs = mark, immediate, []string{endpoint}, 0
			})
			for i := range batches {
				n.WriteLog(testkit.LogFormat, fmt.Sprint(i))
			}
			// Immediate: only loggers to which there is a connection count.
			want := mark
			if immediate {
				want = 0
			}
			n.counter("logs sent", &n.Counters.LogsSent, uint64(want))
			n.counter("log drops", &n.Counters.LogDrops, uint64(batches-want))
			if told := n.Await(t, 1, cshim.Error); len(told) != 1 || !strings.Contains(told[0].Payload, "log_sndhwm") {
				t.Errorf("told %v, want one error that names log_sndhwm", told)
			}

			pull := n.peers.BindTo(endpoint, zmq.PULL)
			for i := range want {
				if got := pull.RecvParts(); got[3] != fmt.Sprint(i) {
					t.Errorf("log batch %d is %q", i, got)
				}
			}
			testkit.Eventually(t, "a log batch to pass again", func() bool {
				n.WriteLog(testkit.LogFormat, "last")
				got := pull.TryRecv()
				return got != nil && got[3] == "last"
			})
		})
	}
}

// A node to which no logger is known writes no logs: that is no loss.
func TestLogBatchesWithoutLoggersAreNoLoss(t *testing.T) {
	n := start(t, nil)
	for range 100 {
		n.WriteLog(testkit.LogFormat, testkit.LogBatch(t))
	}
	testkit.Eventually(t, "the engine to take all", func() bool { return n.Waiting() == 0 })
	n.heard("marker")
	n.counter("log drops", &n.Counters.LogDrops, 0)
	if told := n.Of(cshim.Error, cshim.Warning); len(told) != 0 {
		t.Errorf("told %v", told)
	}
}

// A message over max_message_size ends the connection that brought it, which
// the sender then makes anew.
func TestMaxMessageSize(t *testing.T) {
	const limit = 10000
	n, push := listening(t, func(o *options.Options) { o.MaxMessageSize = limit })
	push.Watch()
	batch := testkit.LogBatch(t)
	push.SendParts("log-write", "node-2", testkit.LogFormat, batch)
	n.Await(t, 1, cshim.Log)
	push.SendParts("log-write", "node-2", testkit.LogFormat, strings.Repeat("x", limit+1))
	push.AwaitEvent(zmq.EVENT_DISCONNECTED)
	push.AwaitEvent(zmq.EVENT_HANDSHAKE_SUCCEEDED)
	push.SendParts("log-write", "node-2", testkit.LogFormat, batch)
	if got := n.Await(t, 2, cshim.Log); len(got) != 2 || got[1].Payload != batch {
		t.Errorf("got %v, want the two batches that fit", got)
	}
	n.counter("invalid logs", &n.Counters.InvalidLogs, 0)
}

// What a node connects to is not bounded: an oversize event would part the
// node from its broker for good.
func TestOversizeEventDoesNotPartTheNodeFromItsBroker(t *testing.T) {
	n := start(t, func(o *options.Options) { o.MaxMessageSize = 1000 }).subscribed("")
	n.event("t", testkit.EventOfSize(2000))
	n.event("t", testkit.NumberedEvent(1))
	n.Await(t, 2, cshim.Event)
}

// With poll_max_messages, a flood of events does not hold up logs. The engine
// is made to wait while both arrive, in a debug line that nobody reads.
func TestPollMaxMessagesGivesEachSocketItsTurn(t *testing.T) {
	const many, turn = 400, 20
	lines, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = stderr
	resume := func() {
		if lines != nil {
			go func(lines *os.File) {
				buf := make([]byte, 4096)
				for {
					if _, err := lines.Read(buf); err != nil {
						lines.Close()
						return
					}
				}
			}(lines)
			lines = nil
		}
	}
	endpoint := testkit.FreeEndpoint(t)
	n, o := prepare(t, func(o *options.Options) {
		o.PollMaxMessages, o.DebugFlags, o.ListenLogEndpoint = turn, options.DebugPoll, endpoint
	})
	n.start(o).subscribed("")
	t.Cleanup(func() {
		resume()
		n.stop()
		os.Stderr = old
		stderr.Close()
	})
	push := n.peers.Connect(endpoint, zmq.PUSH)
	push.SendParts("log-write", "node-2", testkit.LogFormat, testkit.LogBatch(t))
	n.Await(t, 1, cshim.Log)

	fill(t, stderr)
	for i := range many {
		n.event("t", testkit.NumberedEvent(i))
		push.SendParts("log-write", "node-2", testkit.LogFormat, testkit.LogBatch(t))
	}
	for _, e := range []string{n.pub.Endpoint, endpoint} {
		testkit.Eventually(t, "everything to be with the node", func() bool { return testkit.TCPQuiet(t, e) })
	}
	resume()

	n.Await(t, many, cshim.Event)
	n.Await(t, many+1, cshim.Log)
	var kind cshim.Kind
	run := 0
	events, logs := 0, 0
	for _, m := range n.Of(cshim.Event, cshim.Log)[1:] {
		if m.Kind != kind {
			kind, run = m.Kind, 0
		}
		run++
		if m.Kind == cshim.Event {
			events++
		} else {
			logs++
		}
		// While both have something, neither is taken from for long.
		if run > 3*turn && events < many/2 && logs < many/2 {
			t.Fatalf("%d messages of kind %d in a row, after %d events and %d log batches", run, kind, events, logs)
		}
	}
}

// fill fills a pipe.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	raw, err := pipe.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		for {
			if _, err := syscall.Write(int(fd), []byte("x")); err != nil {
				return
			}
		}
	})
}
