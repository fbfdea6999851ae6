// SPDX-License-Identifier: BSD-3-Clause

package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func TestEventOnTheWire(t *testing.T) {
	n := start(t, nil).heard("zeek.")
	for _, v := range vectors.Load(t, "bin-events.json") {
		n.Publish("zeek.cluster.worker", testkit.EventFormat, string(v.Payload))
		want := []string{"zeek.cluster.worker", nodeID, "broker-bin-v1", string(v.Payload)}
		if diff := cmp.Diff(want, n.sub.RecvParts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v.What, diff)
		}
	}
	// Empty parts and other formats are the host's business.
	n.Publish("zeek.", "other", "")
	if diff := cmp.Diff([]string{"zeek.", nodeID, "other", ""}, n.sub.RecvParts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	n.counter("events sent", &n.Counters.EventsSent, uint64(len(vectors.Load(t, "bin-events.json"))+1))
}

func TestLogBatchOnTheWire(t *testing.T) {
	n, o := prepare(t, nil)
	pull := logger(n)
	o.ConnectLogEndpoints = []string{pull.Endpoint}
	n.start(o)
	batch := testkit.LogBatch(t)
	n.WriteLog(testkit.LogFormat, batch)
	if diff := cmp.Diff([]string{"log-write", nodeID, "zeek-bin-serializer", batch}, pull.RecvParts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	n.counter("logs sent", &n.Counters.LogsSent, 1)
}

func TestEventFromAnotherNode(t *testing.T) {
	n := start(t, nil).subscribed("zeek.")
	var want []testkit.Message
	for _, file := range []string{"bin-events.json", "bin-timestamp-events.json", "json-events.json"} {
		for _, v := range vectors.Load(t, file) {
			n.pub.SendParts("zeek."+v.Topic, v.Sender, v.Format, string(v.Payload))
			want = append(want, testkit.Message{Kind: cshim.Event, Topic: "zeek." + v.Topic, Format: v.Format, Payload: string(v.Payload)})
		}
	}
	if diff := cmp.Diff(want, n.Await(t, len(want), cshim.Event)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	n.counter("events received", &n.Counters.EventsReceived, uint64(len(want)))
}

// A logger takes batches whatever their parts 1 and 2 are, its own included.
func TestLogBatchFromANode(t *testing.T) {
	n, push := listening(t, nil)
	batch := testkit.LogBatch(t)
	push.SendParts("log-write", "node-2", testkit.LogFormat, batch)
	push.SendParts("", nodeID, testkit.LogFormat, batch)
	want := testkit.Message{Kind: cshim.Log, Format: testkit.LogFormat, Payload: batch}
	if diff := cmp.Diff([]testkit.Message{want, want}, n.Await(t, 2, cshim.Log)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	n.counter("logs received", &n.Counters.LogsReceived, 2)
}

func TestOwnMessagesAreIgnored(t *testing.T) {
	n := start(t, nil).subscribed("")
	senders := []string{nodeID, "", "node", "node-10", "node-2", nodeID, strings.ToUpper(nodeID)}
	for i, sender := range senders {
		n.pub.SendParts("t", sender, testkit.EventFormat, testkit.NumberedEvent(i))
	}
	if diff := cmp.Diff([]int{1, 2, 3, 4, 6}, numbers(n.Await(t, 5, cshim.Event))); diff != "" {
		t.Errorf("events from %q (-want +got):\n%s", senders, diff)
	}
	n.counter("events received", &n.Counters.EventsReceived, 5)
	n.counter("malformed messages", &n.Counters.MsgErrors, 0)
}

func TestWrongNumberOfPartsIsCountedAndToldOnce(t *testing.T) {
	shapes := [][]string{
		{"t"},
		{"t", "node-2"},
		{"t", "node-2", testkit.EventFormat},
		{"t", "node-2", testkit.EventFormat, testkit.NumberedEvent(0), ""},
		append([]string{"t"}, make([]string, 99)...),
	}
	n, push := listening(t, nil)
	n.subscribed("")
	for _, shape := range shapes {
		n.pub.SendParts(shape...)
		push.SendParts(shape...)
	}
	n.event("t", testkit.NumberedEvent(1))
	push.SendParts("log-write", "node-2", testkit.LogFormat, testkit.LogBatch(t))

	n.Await(t, 1, cshim.Event)
	n.Await(t, 1, cshim.Log)
	n.counter("malformed messages", &n.Counters.MsgErrors, uint64(2*len(shapes)))
	told := n.Await(t, 1, cshim.Error)
	if len(told) != 1 || !strings.Contains(told[0].Payload, "parts") {
		t.Errorf("told %v, want one error about parts", told)
	}

	n.stop()
	over := n.Await(t, 1, cshim.Warning)
	if len(over) != 1 || !strings.Contains(over[0].Payload, fmt.Sprintf("%d messages", 2*len(shapes))) {
		t.Errorf("told %v at the end, want one warning with the number %d", over, 2*len(shapes))
	}
}

// Parts longer than a record of the inbox holds are refused whole, and the
// longest that it holds pass.
func TestGiantParts(t *testing.T) {
	n := start(t, nil).subscribed("")
	longest := strings.Repeat("t", 1<<20)
	event := testkit.NumberedEvent(1)
	n.pub.SendParts(longest+"t", "node-2", testkit.EventFormat, event)
	n.pub.SendParts("t", "node-2", strings.Repeat("f", 256), event)
	n.pub.SendParts("t", "node-2", strings.Repeat("f", 1<<20), event)
	n.pub.SendParts("t", strings.Repeat("n", 1<<20), testkit.EventFormat, event)
	n.pub.SendParts(longest, "node-2", testkit.EventFormat, event)
	big := testkit.EventOfSize(20 << 20)
	n.event("big", big)

	got := n.Await(t, 3, cshim.Event)
	want := []testkit.Message{
		{Kind: cshim.Event, Topic: "t", Format: testkit.EventFormat, Payload: event},
		{Kind: cshim.Event, Topic: longest, Format: testkit.EventFormat, Payload: event},
		{Kind: cshim.Event, Topic: "big", Format: testkit.EventFormat, Payload: big},
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d is %v, want %v", i, got[i], want[i])
		}
	}
	n.counter("malformed messages", &n.Counters.MsgErrors, 3)
}

func TestMessagesThatAreNotValidAreCountedAndToldOnce(t *testing.T) {
	n, push := listening(t, nil)
	n.subscribed("")
	event, batch := testkit.NumberedEvent(1), testkit.LogBatch(t)
	for _, payload := range []string{"", event[:len(event)-1], event + "\x00", strings.Repeat("\xff", 100)} {
		n.event("t", payload)
	}
	n.pub.SendParts("t", "node-2", "no-such-format", event)
	for _, payload := range []string{"", batch[:len(batch)-1], batch + "\x00", strings.Repeat("\xff", 100)} {
		push.SendParts("log-write", "node-2", testkit.LogFormat, payload)
	}
	push.SendParts("log-write", "node-2", "no-such-format", batch)
	n.event("t", event)
	push.SendParts("log-write", "node-2", testkit.LogFormat, batch)

	n.Await(t, 1, cshim.Event)
	n.Await(t, 1, cshim.Log)
	n.counter("invalid events", &n.Counters.InvalidEvents, 5)
	n.counter("invalid logs", &n.Counters.InvalidLogs, 5)
	n.counter("events received", &n.Counters.EventsReceived, 1)
	n.counter("logs received", &n.Counters.LogsReceived, 1)
	if told := n.Await(t, 1, cshim.Error); len(told) != 1 {
		t.Errorf("told %v, want one error", told)
	}
	n.stop()
	if over := n.Await(t, 1, cshim.Warning); len(over) != 1 || !strings.Contains(over[0].Payload, "10 messages") {
		t.Errorf("told %v at the end, want one warning with the number 10", over)
	}
}

// A host that decodes one format gets no other, and of one that the engine does
// not know, everything.
func TestOnlyTheHostsFormatsPass(t *testing.T) {
	n, push := listening(t, func(o *options.Options) { o.EventFormat, o.LogFormat = "mine", "also-mine" })
	n.subscribed("")
	n.event("t", testkit.NumberedEvent(1))
	n.pub.SendParts("t", "node-2", "mine", "anything")
	push.SendParts("log-write", "node-2", testkit.LogFormat, testkit.LogBatch(t))
	push.SendParts("log-write", "node-2", "also-mine", "at all")
	if got := n.Await(t, 1, cshim.Event); len(got) != 1 || got[0].Format != "mine" || got[0].Payload != "anything" {
		t.Errorf("events %v", got)
	}
	if got := n.Await(t, 1, cshim.Log); len(got) != 1 || got[0].Format != "also-mine" || got[0].Payload != "at all" {
		t.Errorf("logs %v", got)
	}
	n.counter("invalid events", &n.Counters.InvalidEvents, 1)
	n.counter("invalid logs", &n.Counters.InvalidLogs, 1)
}

func TestSubscriptionsReachTheBroker(t *testing.T) {
	n := start(t, nil)
	n.Host.Subscribe("a")
	n.Host.Subscribe("b")
	n.Host.Subscribe("")
	n.Host.Unsubscribe("a")
	for _, want := range []string{"\x01a", "\x01b", "\x01", "\x00a"} {
		if diff := cmp.Diff([]string{want}, n.pub.RecvParts()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// What the host queues before there is an engine is sent once there is one.
func TestSubscribeBeforeStart(t *testing.T) {
	n, o := prepare(t, nil)
	pull := logger(n)
	o.ConnectLogEndpoints = []string{pull.Endpoint}
	n.Host.Subscribe("early")
	n.WriteLog(testkit.LogFormat, testkit.LogBatch(t))
	n.start(o)
	if diff := cmp.Diff([]string{"\x01early"}, n.pub.RecvParts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := pull.RecvParts(); len(got) != 4 || got[3] != testkit.LogBatch(t) {
		t.Errorf("log batch %q", got)
	}
	n.event("early", testkit.Event(t))
	n.Await(t, 1, cshim.Event)
}

// Subscriptions have no high-water mark, also while there is no connection.
func TestThousandsOfSubscriptionsBeforeTheConnection(t *testing.T) {
	const topics = 5000
	n, o := prepare(t, nil)
	o.ConnectXSubEndpoint = testkit.FreeEndpoint(t)
	for i := range topics {
		n.Host.Subscribe(fmt.Sprintf("topic.%d.", i))
	}
	n.start(o)
	testkit.Eventually(t, "the engine to take all", func() bool { return n.Waiting() == 0 })

	late := n.peers.BindTo(o.ConnectXSubEndpoint, zmq.XPUB)
	for i := range topics {
		if got, want := late.RecvParts(), fmt.Sprintf("\x01topic.%d.", i); len(got) != 1 || got[0] != want {
			t.Fatalf("subscription %d is %q, want %q", i, got, want)
		}
	}
}

func TestSubscriptionsOfOthersAreSeen(t *testing.T) {
	n := start(t, nil)
	n.sub.Subscribe("a")
	n.sub.Subscribe("a") // verbose: seen although known
	n.sub.Subscribe("b")
	n.sub.Unsubscribe("b")
	n.sub.Unsubscribe("a") // still held once
	n.sub.Subscribe("")
	n.sub.Unsubscribe("a")
	n.sub.Subscribe(strings.Repeat("long", 1000))

	got := n.Await(t, 7, cshim.Subscription, cshim.Unsubscription)
	want := []testkit.Message{
		{Kind: cshim.Subscription, Topic: "a"},
		{Kind: cshim.Subscription, Topic: "a"},
		{Kind: cshim.Subscription, Topic: "b"},
		{Kind: cshim.Unsubscription, Topic: "b"},
		{Kind: cshim.Subscription, Topic: ""},
		{Kind: cshim.Unsubscription, Topic: "a"},
		{Kind: cshim.Subscription, Topic: strings.Repeat("long", 1000)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An XPUB hands its owner whatever a peer sends; what is no subscription is
// counted and harms nothing.
func TestJunkWhereSubscriptionsAreExpected(t *testing.T) {
	n := start(t, nil)
	n.sub.SendParts("\x02junk")
	n.sub.SendParts("")
	n.sub.SendParts("\x02a", "b", "c")
	n.heard("a")
	if n.Counters.MsgErrors.Load() == 0 {
		t.Error("junk was not counted")
	}
	for _, m := range n.Of(cshim.Subscription, cshim.Unsubscription) {
		if m.Topic != "a" {
			t.Errorf("junk became %v", m)
		}
	}
}

func TestLogBatchesGoRoundRobin(t *testing.T) {
	n, o := prepare(t, nil)
	loggers := []*testkit.Peer{logger(n), logger(n)}
	for _, l := range loggers {
		o.ConnectLogEndpoints = append(o.ConnectLogEndpoints, l.Endpoint)
	}
	n.start(o)
	const each = 50
	for i := range 2 * each {
		n.WriteLog(testkit.LogFormat, fmt.Sprint(i))
	}
	for which, l := range loggers {
		for i := range each {
			if got, want := l.RecvParts(), fmt.Sprint(2*i+which); len(got) != 4 || got[3] != want {
				t.Fatalf("logger %d got %q as its batch %d, want %s", which, got, i, want)
			}
		}
	}
}

// A host without logs has no PUSH and no PULL, whatever the options say.
func TestHostWithoutLogs(t *testing.T) {
	n, o := prepareWith(t, testkit.NewHostWithoutLogs(t), nil)
	o.ListenLogEndpoint = testkit.FreeEndpoint(t)
	o.ConnectLogEndpoints = []string{"this is no endpoint"}
	n.start(o)
	n.peers.BindTo(o.ListenLogEndpoint, zmq.PULL) // the port is free
	n.heard("a")
	n.Publish("a", testkit.EventFormat, testkit.Event(t))
	if got := n.sub.RecvParts(); len(got) != 4 {
		t.Errorf("%q", got)
	}
}

func TestIPv6(t *testing.T) {
	peers := testkit.NewPeers(t)
	v6 := func(s *zmq.Socket) error { return s.SetIpv6(true) }
	xsub := peers.Socket(zmq.XSUB, v6).Watch()
	if err := xsub.Bind("tcp://[::1]:*"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	endpoint, _ := xsub.GetLastEndpoint()
	n := start(t, func(o *options.Options) { o.IPv6, o.ConnectXPubEndpoint = true, endpoint })
	xsub.Attached()
	xsub.Subscribe("six")
	n.AwaitTopic(t, cshim.Subscription, "six")
}

// The host sleeps on its descriptor, and is woken once for what arrives.
func TestHostIsWoken(t *testing.T) {
	n := start(t, nil).subscribed("")
	for i := range 20 {
		for !n.Sleep() {
			n.Drain()
		}
		n.event("t", testkit.NumberedEvent(i))
		testkit.AwaitReadable(t, n.WakeFD())
		n.ClearWake()
		n.Await(t, i+1, cshim.Event)
	}
}

// Both directions and all kinds at a time, with a host that sends in one
// goroutine and receives in another.
func TestTrafficBothWays(t *testing.T) {
	const many = 20000
	n, o := prepare(t, func(o *options.Options) { o.XPubSndHWM, o.OnloopHWM, o.LogSndHWM, o.XSubRcvHWM = 0, 0, 0, 0 })
	pull := logger(n, testkit.HWM(0))
	o.ConnectLogEndpoints = []string{pull.Endpoint}
	n.start(o).heard("out")
	n.subscribed("in")

	sent := testkit.Go(func() error {
		for i := range many {
			n.Publish("out", testkit.EventFormat, testkit.NumberedEvent(i))
			n.WriteLog(testkit.LogFormat, testkit.NumberedEvent(i))
		}
		return nil
	})
	published := testkit.Go(func() error {
		for i := range many {
			if _, err := n.pub.SendMessage("in", "node-2", testkit.EventFormat, testkit.NumberedEvent(i)); err != nil {
				return err
			}
		}
		return nil
	})
	events := testkit.Go(func() error { return inOrder(n.sub, many) })
	logs := testkit.Go(func() error { return inOrder(pull, many) })

	if diff := cmp.Diff(upTo(many), numbers(n.Await(t, many, cshim.Event))); diff != "" {
		t.Errorf("events in (-want +got):\n%s", diff)
	}
	for what, result := range map[string]<-chan error{"sending": sent, "publishing": published, "events out": events, "logs out": logs} {
		if err := testkit.Result(t, what, result); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	n.counter("events sent", &n.Counters.EventsSent, many)
	n.counter("logs sent", &n.Counters.LogsSent, many)
	n.counter("events received", &n.Counters.EventsReceived, many)
}

// A subscription that arrives while the node sends is seen, although sending
// may have taken the news of it off the socket's descriptor.
func TestSubscriptionsAmidTraffic(t *testing.T) {
	n := start(t, func(o *options.Options) { o.XPubSndHWM = 0 })
	event := testkit.NumberedEvent(1)
	for i := range 300 {
		topic := fmt.Sprint("topic", i)
		done := testkit.Go(func() error {
			for range 300 {
				n.Publish("nobody wants this", testkit.EventFormat, event)
			}
			return nil
		})
		n.sub.Subscribe(topic)
		testkit.Result(t, "publishing", done)
		n.AwaitTopic(t, cshim.Subscription, topic)
	}
}

// inOrder receives numbered events from 0 up to n.
func inOrder(from *testkit.Peer, n int) error {
	for i := range n {
		got, err := from.RecvMessage(0)
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if len(got) != 4 || testkit.EventNumber(got[3]) != i {
			return fmt.Errorf("message %d is %q", i, got)
		}
	}
	return nil
}
