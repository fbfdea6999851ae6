// SPDX-License-Identifier: BSD-3-Clause

package engine_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// dropsTold is what the host was told of drops, by reason and topic.
func (n *node) dropsTold() map[string]uint64 {
	told := map[string]uint64{}
	for _, m := range n.Of(cshim.Drops) {
		told[m.Format+" "+m.Topic] += binary.NativeEndian.Uint64([]byte(m.Payload))
	}
	return told
}

// toldOfWaits fails unless the host was told that something began to wait, and
// later how often and how long it did.
func (n *node) toldOfWaits(t *testing.T, begun, over string) {
	t.Helper()
	told := n.Of(cshim.Warning)
	if len(told) != 2 || !strings.Contains(told[0].Payload, begun) {
		t.Fatalf("told %v, want one warning that says %q, and one at the end", told, begun)
	}
	m := regexp.MustCompile("^" + over + `, for (\d+\.\d) seconds in all$`).FindStringSubmatch(told[1].Payload)
	if m == nil || m[1] == "0" || m[2] == "0.0" {
		t.Errorf("told %q, want how often and how long, in the form %s", told[1].Payload, over)
	}
}

// cpuTime is what the process has used.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sleeps fails if the process, which waits for room, is busy with that.
func sleeps(t *testing.T) {
	t.Helper()
	const window = 500 * time.Millisecond
	before := cpuTime(t)
	time.Sleep(window)
	if used := cpuTime(t) - before; used > window/2 {
		t.Errorf("waiting for room took %v of CPU in %v", used, window)
	}
}

func TestXPubOverloadDropCountsPerTopic(t *testing.T) {
	const events = 200
	n := slow(t, func(o *options.Options) { o.XPubSndHWM, o.XPubSndBuf = 5, 4096 })
	for range events {
		n.Publish("red", testkit.EventFormat, big)
		n.Publish("zeek.cluster.nodeid.someone.", testkit.EventFormat, big)
	}
	testkit.Eventually(t, "counters", func() bool {
		return n.Counters.EventsSent.Load()+n.Counters.XPubDrops.Load() == 2*events
	})
	testkit.Eventually(t, "the drops to be told", func() bool {
		told := n.dropsTold()
		red, id := told["xpub_sndhwm red"], told["xpub_sndhwm zeek.cluster.nodeid.__normalized__"]
		return len(told) == 2 && red > 0 && id > 0 && red+id == n.Counters.XPubDrops.Load()
	})
}

func TestXPubOverloadBlockKeepsEventsUntilThereIsRoom(t *testing.T) {
	const events = 200
	n := slow(t, func(o *options.Options) {
		o.XPubSndHWM, o.XPubSndBuf, o.XPubOverload = 5, 4096, options.Block
	})
	for range events {
		n.Publish("t", testkit.EventFormat, big)
	}
	n.Publish("last", testkit.EventFormat, testkit.NumberedEvent(1))
	testkit.Eventually(t, "the mark to be reached", func() bool { return n.Counters.EventsSent.Load() >= 5 && n.Waiting() > 0 })
	sleeps(t)
	if n.Waiting() == 0 {
		t.Fatal("nothing waits: too much room to test anything")
	}
	for i := range events {
		if got := n.sub.RecvParts(); got[0] != "t" {
			t.Fatalf("in place of event %d: %q", i, got[0])
		}
	}
	if got := n.sub.RecvParts(); got[0] != "last" {
		t.Errorf("%q in place of the last", got[0])
	}
	n.counter("drops", &n.Counters.XPubDrops, 0)
	n.counter("events sent", &n.Counters.EventsSent, events+1)
	n.stop()
	n.toldOfWaits(t, "xpub: events wait, xpub_sndhwm reached", `xpub: events waited (\d+) times, xpub_sndhwm reached`)
}

// The end of the node does not wait for room for longer than linger_ms.
func TestXPubOverloadBlockEndsWithLinger(t *testing.T) {
	n := slow(t, func(o *options.Options) {
		o.XPubSndHWM, o.XPubSndBuf, o.XPubOverload, o.LingerMs = 5, 4096, options.Block, 100
	})
	for range 200 {
		n.Publish("t", testkit.EventFormat, big)
	}
	n.stop()
}

func TestOnloopOverloadBlockLeavesEventsUntilThereIsRoom(t *testing.T) {
	const events, mark = 300, 10
	n := start(t, func(o *options.Options) {
		o.OnloopHWM, o.OnloopOverload, o.OverloadBlockLimit = mark, options.Block, time.Hour
	}).subscribed("")
	for i := range events {
		n.event("t", testkit.NumberedEvent(i))
	}
	testkit.Eventually(t, "the inbox to be full", func() bool {
		return n.InboxDepth(testkit.ClassEvent) == mark && n.Counters.QueueBlocks.Load() > 0
	})
	sleeps(t)
	if got := n.InboxDepth(testkit.ClassEvent); got != mark {
		t.Errorf("%d events in the inbox, the mark is %d", got, mark)
	}
	if diff := cmp.Diff(upTo(events), numbers(n.Await(t, events, cshim.Event))); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	n.counter("drops", &n.Counters.OnloopDrops, 0)
	n.stop()
	n.toldOfWaits(t, "onloop_queue_hwm reached: Zeek's main loop does not keep up",
		`events were left with the broker (\d+) times, onloop_queue_hwm reached`)
}

func TestOnloopOverloadBlockDropsAfterTheLimit(t *testing.T) {
	const events, mark = 300, 10
	n := start(t, func(o *options.Options) {
		o.OnloopHWM, o.OnloopOverload, o.OverloadBlockLimit = mark, options.Block, 200*time.Millisecond
	}).subscribed("")
	begin := time.Now()
	for i := range events {
		n.event("t", testkit.NumberedEvent(i))
	}
	n.counter("drops", &n.Counters.OnloopDrops, events-mark)
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("dropped after %v", took)
	}
	if n.Counters.QueueBlocks.Load() == 0 {
		t.Error("no block was counted")
	}
	if diff := cmp.Diff(upTo(mark), numbers(n.Of(cshim.Event))); diff != "" {
		t.Errorf("the oldest events stay (-want +got):\n%s", diff)
	}
	testkit.Eventually(t, "the drops to be told", func() bool { return n.dropsTold()["onloop_queue_hwm t"] == events-mark })

	// There is room: events pass, and the limit begins anew.
	for i := range 2 * mark {
		n.event("t", testkit.NumberedEvent(events+i))
	}
	n.Await(t, 3*mark, cshim.Event)
	n.counter("drops", &n.Counters.OnloopDrops, events-mark)
}

// A host that is slower than its peers, but not stuck, loses nothing, however
// long that lasts.
func TestOnloopOverloadBlockWithASlowHost(t *testing.T) {
	const events, mark, limit = 1000, 10, 200 * time.Millisecond
	n := start(t, func(o *options.Options) {
		o.OnloopHWM, o.OnloopOverload, o.OverloadBlockLimit = mark, options.Block, limit
	}).subscribed("")
	for i := range events {
		n.event("t", testkit.NumberedEvent(i))
	}
	begin := time.Now()
	testkit.Eventually(t, "all events", func() bool {
		time.Sleep(limit / 20) // that long the host takes for what it has
		n.Drain()
		return len(n.Seen) >= events && len(n.Of(cshim.Event)) == events || n.Counters.OnloopDrops.Load() > 0
	})
	n.counter("drops", &n.Counters.OnloopDrops, 0)
	if time.Since(begin) < 2*limit {
		t.Error("the host was not slow")
	}
}

// An episode is not over while something still waits, and the next wait begins
// another.
func TestOverloadBlockTellsEachEpisode(t *testing.T) {
	const events = 100
	n := slow(t, func(o *options.Options) {
		o.XPubSndHWM, o.XPubSndBuf, o.XPubOverload = 5, 4096, options.Block
	})
	block := func() {
		for range events {
			n.Publish("t", testkit.EventFormat, big)
		}
		testkit.Eventually(t, "the mark to be reached", func() bool { return n.Waiting() > 0 })
	}
	receive := func() {
		for range events {
			n.sub.RecvParts()
		}
	}
	block()
	time.Sleep(6500 * time.Millisecond) // longer than an episode outlasts its last wait
	if told := n.Of(cshim.Warning); len(told) != 1 {
		t.Errorf("told %v while events wait", told)
	}
	receive()
	if told := n.Await(t, 2, cshim.Warning)[1].Payload; !strings.Contains(told, "events waited") {
		t.Errorf("told %q, want the end of the wait", told)
	}
	block()
	receive()
	n.stop()
	if told := n.Of(cshim.Warning); len(told) != 4 {
		t.Errorf("told %v, want begin and end of two episodes", told)
	}
}

// ---- Logs ----

// logOptions are those of a node whose logger is not there yet.
func logOptions(t *testing.T, endpoint string, policy options.Policy, change func(*options.Options)) func(*options.Options) {
	t.Helper()
	dir := t.TempDir()
	return func(o *options.Options) {
		o.ConnectLogEndpoints, o.LogOverload = []string{endpoint}, policy
		o.LogSndHWM, o.LogImmediate, o.LogSpillDir, o.NodeName = 10, true, dir, "worker-1"
		if change != nil {
			change(o)
		}
	}
}

func (n *node) writeNumbers(from, to int) {
	for i := from; i < to; i++ {
		n.WriteLog(testkit.LogFormat, fmt.Sprint(i))
	}
}

// wantNumbers expects these batches, and no other, at a logger.
func wantNumbers(t *testing.T, pull *testkit.Peer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		want := []string{"log-write", nodeID, testkit.LogFormat, fmt.Sprint(i)}
		if diff := cmp.Diff(want, pull.RecvParts()); diff != "" {
			t.Fatalf("log batch %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestLogOverloadBlockKeepsBatchesUntilThereIsALogger(t *testing.T) {
	const batches = 100
	for _, immediate := range []bool{true, false} {
		t.Run(fmt.Sprintf("log_immediate=%t", immediate), func(t *testing.T) {
			endpoint := testkit.FreeEndpoint(t)
			n := start(t, logOptions(t, endpoint, options.Block, func(o *options.Options) { o.LogImmediate = immediate }))
			n.writeNumbers(0, batches)
			held := 0 // by libzmq
			if !immediate {
				held = 10
			}
			testkit.Eventually(t, "the rest to wait", func() bool { return n.Waiting() == batches-held })
			sleeps(t)
			wantNumbers(t, n.peers.BindTo(endpoint, zmq.PULL), 0, batches)
			n.counter("log drops", &n.Counters.LogDrops, 0)
			n.counter("log batches sent", &n.Counters.LogsSent, batches)
			n.stop()
			n.toldOfWaits(t, "log batches wait: no logger takes them", `log batches waited (\d+) times, log_sndhwm reached`)
		})
	}
}

// A logger that does not read for longer than heartbeat_timeout is not taken for
// dead, which would cost what is under way to it.
func TestLogOverloadBlockWithALoggerThatPauses(t *testing.T) {
	const batches = 3000
	listener := testkit.FreeEndpoint(t)
	n := start(t, func(o *options.Options) {
		o.HeartbeatInterval, o.HeartbeatTimeout = 100*time.Millisecond, 400*time.Millisecond
		o.LogOverload, o.ConnectLogEndpoints = options.Block, []string{listener}
	})
	pull := n.peers.BindTo(listener, zmq.PULL, testkit.Small)
	batch := strings.Repeat("x", 20000)
	for range batches {
		n.WriteLog(testkit.LogFormat, batch)
	}
	testkit.Eventually(t, "the mark to be reached", func() bool { return n.Counters.LogsSent.Load() >= 1000 && n.Waiting() > 0 })
	time.Sleep(2 * time.Second)
	if n.Waiting() == 0 {
		t.Fatal("nothing waits: the logger did not pause")
	}
	for range batches {
		pull.RecvParts()
	}
	for _, m := range n.Of(cshim.Monitor) {
		if m.Topic == listener && binary.NativeEndian.Uint32([]byte(m.Payload)) == uint32(zmq.EVENT_DISCONNECTED) {
			t.Error("the logger was taken for dead")
		}
	}
}

// A logger does not know what its senders are to do, so it never asks them for
// signs of life, which it might not see.
func TestLoggersSendNoHeartbeats(t *testing.T) {
	endpoint := testkit.FreeEndpoint(t)
	start(t, func(o *options.Options) {
		o.ListenLogEndpoint, o.HeartbeatInterval, o.HeartbeatTimeout = endpoint, 50*time.Millisecond, time.Hour
	})
	c, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// A ZMTP 3.1 greeting without security, and a PUSH's READY.
	fmt.Fprint(c, "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x01NULL", strings.Repeat("\x00", 48))
	fmt.Fprint(c, "\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH")
	c.SetReadDeadline(time.Now().Add(time.Second))
	got, _ := io.ReadAll(c)
	if !strings.Contains(string(got), "READY") || strings.Contains(string(got), "PING") {
		t.Errorf("got %q, want a READY and no PING", got)
	}
}

func TestLogOverloadSpill(t *testing.T) {
	const batches = 300
	for _, immediate := range []bool{true, false} {
		t.Run(fmt.Sprintf("log_immediate=%t", immediate), func(t *testing.T) {
			endpoint := testkit.FreeEndpoint(t)
			n := start(t, logOptions(t, endpoint, options.Spill, func(o *options.Options) { o.LogImmediate = immediate }))
			n.writeNumbers(0, batches)
			testkit.Eventually(t, "the engine to take all", func() bool { return n.Waiting() == 0 })
			spilled := uint64(batches)
			if !immediate {
				spilled -= 10
			}
			n.counter("spilled", &n.Counters.LogsSpilled, spilled)
			if told := n.Await(t, 1, cshim.Warning); len(told) != 1 || !strings.Contains(told[0].Payload, "no logger") {
				t.Errorf("told %v", told)
			}

			pull := n.peers.BindTo(endpoint, zmq.PULL)
			n.writeNumbers(batches, 2*batches)
			wantNumbers(t, pull, 0, 2*batches)
			total := n.Counters.LogsSpilled.Load()
			n.counter("resent", &n.Counters.LogsResent, total)
			n.counter("drops", &n.Counters.LogDrops, 0)
			over := n.Await(t, 2, cshim.Warning)[1].Payload
			if !strings.Contains(over, fmt.Sprint(total)) && total == spilled {
				t.Errorf("told %q, want the number %d", over, total)
			}

			// And then as if nothing had been.
			n.writeNumbers(2*batches, 2*batches+50)
			wantNumbers(t, pull, 2*batches, 2*batches+50)
			n.stop()
			if told := n.Of(cshim.Error); len(told) != 0 {
				t.Errorf("told %v", told)
			}
		})
	}
}

func TestLogOverloadSpillOutlivesTheNode(t *testing.T) {
	const batches = 200
	endpoint := testkit.FreeEndpoint(t)
	set := logOptions(t, endpoint, options.Spill, nil)
	for life := range 3 {
		n := start(t, set)
		n.writeNumbers(life*batches, (life+1)*batches)
		if life < 2 {
			testkit.Eventually(t, "the engine to take all", func() bool { return n.Waiting() == 0 })
			n.stop()
			continue
		}
		wantNumbers(t, n.peers.BindTo(endpoint, zmq.PULL), 0, 3*batches)
		n.counter("drops", &n.Counters.LogDrops, 0)
	}
}

// The node ends, in order, in the middle of sending what is on disk; the next
// goes on from there.
func TestLogOverloadSpillEndsHalfSent(t *testing.T) {
	const batches = 3000
	endpoint := testkit.FreeEndpoint(t)
	set := logOptions(t, endpoint, options.Spill, func(o *options.Options) { o.LingerMs = 8000 })
	padding := strings.Repeat("x", 2000)
	write := func(n *node) {
		for i := range batches {
			n.WriteLog(testkit.LogFormat, fmt.Sprintf("%d %s", i, padding))
		}
	}
	number := func(m []string) (i int) { fmt.Sscan(m[3], &i); return i }

	n := start(t, set)
	write(n)
	n.counter("spilled", &n.Counters.LogsSpilled, batches)

	logger := testkit.NewPeers(t)
	pull := logger.BindTo(endpoint, zmq.PULL, testkit.Small)
	var got []int
	for range batches / 10 {
		got = append(got, number(pull.RecvParts()))
	}
	ended := testkit.Go(n.Engine.Stop)
	testkit.Eventually(t, "the node's end", func() bool {
		for m := pull.TryRecv(); m != nil; m = pull.TryRecv() {
			got = append(got, number(m))
		}
		select {
		case <-n.Done():
			return true
		default:
			return false
		}
	})
	if err := testkit.Result(t, "the node's end", ended); err != nil {
		t.Fatal(err)
	}

	n = start(t, set)
	for len(got) < batches {
		got = append(got, number(pull.RecvParts()))
	}
	// The first node's connection may still bring its last batches while the
	// second's brings its own: in order each, but not with each other.
	slices.Sort(got)
	if diff := cmp.Diff(upTo(batches), got); diff != "" {
		t.Errorf("log batches (-want +got):\n%s", diff)
	}
	if resent := n.Counters.LogsResent.Load(); resent == 0 || resent >= batches {
		t.Errorf("%d of %d were left for the second node: not the middle", resent, batches)
	}
}

// What is queued at the end goes to disk.
func TestLogOverloadSpillTakesTheLastBatches(t *testing.T) {
	endpoint := testkit.FreeEndpoint(t)
	set := logOptions(t, endpoint, options.Spill, nil)
	n := start(t, set)
	n.writeNumbers(0, 100)
	n.stop()
	n = start(t, set)
	wantNumbers(t, n.peers.BindTo(endpoint, zmq.PULL), 0, 100)
}

// Also what the engine has had no time for: linger_ms is over at once.
func TestLogOverloadSpillTakesWhatIsQueuedAtTheEnd(t *testing.T) {
	const batches = 100
	endpoint := testkit.FreeEndpoint(t)
	set := logOptions(t, endpoint, options.Spill, func(o *options.Options) { o.LingerMs = 0 })
	n, o := prepare(t, set)
	n.writeNumbers(0, batches)
	n.Channel.Stop()
	e, err := engine.Start(n.Channel, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	n.counter("spilled", &n.Counters.LogsSpilled, batches)
	n = start(t, set)
	wantNumbers(t, n.peers.BindTo(endpoint, zmq.PULL), 0, batches)
}

func TestLogOverloadSpillFullDropsTheNewestAndTellsOnce(t *testing.T) {
	const batches, fits = 200, 20
	payload := strings.Repeat("x", 1000)
	endpoint := testkit.FreeEndpoint(t)
	n := start(t, logOptions(t, endpoint, options.Spill, func(o *options.Options) {
		o.LogSpillMaxBytes = fits * uint64(16+len(testkit.LogFormat)+len(payload))
	}))
	for range batches {
		n.WriteLog(testkit.LogFormat, payload)
	}
	n.counter("spilled", &n.Counters.LogsSpilled, fits)
	n.counter("drops", &n.Counters.LogDrops, batches-fits)
	if told := n.Await(t, 1, cshim.Error); len(told) != 1 || !strings.Contains(told[0].Payload, "log_spill_max_bytes") {
		t.Errorf("told %v, want one error that names log_spill_max_bytes", told)
	}
	testkit.Eventually(t, "the drops to be told", func() bool { return n.dropsTold()["log_spill_max_bytes "] == batches-fits })

	pull := n.peers.BindTo(endpoint, zmq.PULL)
	for range fits {
		if got := pull.RecvParts(); got[3] != payload {
			t.Errorf("got %.20q", got[3])
		}
	}
	testkit.Eventually(t, "the spill to be over", func() bool { return n.Counters.LogsResent.Load() == fits })
	n.writeNumbers(0, 5)
	wantNumbers(t, pull, 0, 5)
	n.stop()
	if told := n.Of(cshim.Warning); len(told) != 3 || !strings.Contains(told[2].Payload, fmt.Sprintf("%d log batches were dropped", batches-fits)) {
		t.Errorf("told %v, want the number %d at the end", told, batches-fits)
	}
}

// A disk that fails costs the batches, not the node.
func TestLogOverloadSpillWithoutADisk(t *testing.T) {
	const batches = 50
	endpoint := testkit.FreeEndpoint(t)
	var dir string
	n := start(t, logOptions(t, endpoint, options.Spill, func(o *options.Options) {
		dir = o.LogSpillDir + "/spill"
		o.LogSpillDir = dir
	}))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	n.writeNumbers(0, batches)
	n.counter("drops", &n.Counters.LogDrops, batches)
	testkit.Eventually(t, "the drops to be told", func() bool { return n.dropsTold()["spill_failed "] == batches })
	failures := 0
	for _, m := range n.Of(cshim.Error) {
		if strings.Contains(m.Payload, "cannot keep log batches on disk") && strings.Contains(m.Payload, dir) {
			failures++
		}
	}
	if failures != 1 {
		t.Errorf("told %v, want the failure once", n.Of(cshim.Error))
	}
	pull := n.peers.BindTo(endpoint, zmq.PULL)
	testkit.Eventually(t, "a log batch to pass", func() bool {
		n.WriteLog(testkit.LogFormat, "later")
		got := pull.TryRecv()
		return got != nil && got[3] == "later"
	})
}

func TestLogOverloadSpillOfAnotherProcess(t *testing.T) {
	set := logOptions(t, testkit.FreeEndpoint(t), options.Spill, nil)
	n := start(t, set)
	second, o := prepare(t, set)
	e, err := engine.Start(second.Channel, o)
	if err == nil {
		e.Stop()
		t.Fatal("two nodes with one spill")
	}
	if !strings.Contains(err.Error(), "log_spill_dir") || !strings.Contains(err.Error(), "worker-1") {
		t.Errorf("%v", err)
	}
	n.stop()
	second.start(o).stop()
}

// Damage is told, not passed over in silence, and what is sound arrives.
func TestLogOverloadSpillDamaged(t *testing.T) {
	endpoint := testkit.FreeEndpoint(t)
	set := logOptions(t, endpoint, options.Spill, nil)
	n := start(t, set)
	n.writeNumbers(0, 1)
	n.counter("spilled", &n.Counters.LogsSpilled, 1)
	n.stop()
	o := options.Default()
	set(&o)
	path := o.LogSpillDir + "/zeromq-worker-1.1.spill"
	if err := os.WriteFile(path, []byte("this is no record of a log batch"), 0o644); err != nil {
		t.Fatal(err)
	}

	n = start(t, set)
	if told := n.Await(t, 1, cshim.Error); !strings.Contains(told[0].Payload, "lost") || !strings.Contains(told[0].Payload, path) {
		t.Errorf("told %v, want the file's name", told)
	}
	n.writeNumbers(0, 20)
	wantNumbers(t, n.peers.BindTo(endpoint, zmq.PULL), 0, 20)
}
