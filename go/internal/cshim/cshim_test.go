// SPDX-License-Identifier: BSD-3-Clause

package cshim_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// rig is the sockets of a node without its engine: the test's goroutine is the
// engine.
type rig struct {
	*testkit.Host
	peers            *testkit.Peers
	ctx              *cshim.Context
	xpub, xsub, pull *cshim.Socket
	sub, pub, push   *testkit.Peer
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Host: testkit.NewHost(t), peers: testkit.NewPeers(t)}
	var err error
	if r.ctx, err = cshim.NewContext(1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.ctx.Term() })
	socket := func(kind cshim.SocketType) *cshim.Socket {
		s, err := r.ctx.NewSocket(kind)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		if err := s.Set(cshim.Linger, 0); err != nil {
			t.Fatal(err)
		}
		if err := s.Bind("tcp://127.0.0.1:*"); err != nil {
			t.Fatal(err)
		}
		return s
	}
	endpoint := func(s *cshim.Socket) string {
		e, err := s.LastEndpoint()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	r.xpub, r.xsub, r.pull = socket(cshim.XPub), socket(cshim.XSub), socket(cshim.Pull)
	r.sub, r.pub = r.peers.Connect(endpoint(r.xpub), zmq.XSUB), r.peers.Connect(endpoint(r.xsub), zmq.XPUB)
	r.push = r.peers.Connect(endpoint(r.pull), zmq.PUSH)
	return r
}

// server is a rig with what [cshim.Poller.Serve] takes.
type server struct {
	*rig
	sender           *cshim.Sender
	receiver         *cshim.Receiver
	poller           *cshim.Poller
	service          *cshim.Service
	xsubBit, xpubBit uint32
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{rig: newRig(t)}
	var err error
	if s.sender, err = cshim.NewSender(s.Channel, "n"); err != nil {
		t.Fatal(err)
	}
	s.receiver, s.poller = cshim.NewReceiver(s.Channel, "n"), cshim.NewPoller(s.Channel)
	s.xsubBit, s.xpubBit = s.poller.Add(s.xsub), s.poller.Add(s.xpub)
	s.service = cshim.NewService(s.Channel, s.sender, s.xpub, s.xsub, nil, s.xpubBit, s.xsubBit)
	t.Cleanup(func() {
		s.service.Close()
		s.poller.Close()
		s.receiver.Close()
		s.sender.Close()
	})
	return s
}

// receive calls until it has taken n messages, and returns the last result.
func receive(t *testing.T, n int, call func() (cshim.Received, error)) cshim.Received {
	t.Helper()
	var last cshim.Received
	taken := 0
	testkit.Eventually(t, fmt.Sprint(n, " messages"), func() bool {
		got, err := call()
		if err != nil {
			t.Fatal(err)
		}
		if got.Taken > 0 {
			last = got
		}
		taken += got.Taken
		return taken >= n
	})
	return last
}

func TestRoundTripOfEveryKind(t *testing.T) {
	r := newRig(t)
	sender, err := cshim.NewSender(r.Channel, "me")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	receiver := cshim.NewReceiver(r.Channel, "me")
	defer receiver.Close()

	r.sub.Subscribe("t")
	receive(t, 1, func() (cshim.Received, error) { return receiver.Subscriptions(r.xpub, cshim.Limits{}) })
	receiver.Commit()
	if diff := cmp.Diff([]testkit.Message{{Kind: cshim.Subscription, Topic: "t"}}, r.Drain()); diff != "" {
		t.Errorf("subscription (-want +got):\n%s", diff)
	}

	long := strings.Repeat("payload ", 20000) // larger than a chunk of the queue
	r.Publish("t1", "format", "")
	r.Publish("t2", "other", long)
	r.Publish("t3", "", "\x00\x01")
	if sent, err := sender.Events(r.xpub, r.xsub, 2); err != nil || sent.Sent != 2 || !sent.More {
		t.Errorf("%+v, %v; want 2 sent and more", sent, err)
	}
	if sent, err := sender.Events(r.xpub, r.xsub, 100); err != nil || sent.Sent != 1 || sent.More {
		t.Errorf("%+v, %v; want the last sent", sent, err)
	}
	for _, want := range [][]string{{"t1", "me", "format", ""}, {"t2", "me", "other", long}, {"t3", "me", "", "\x00\x01"}} {
		if diff := cmp.Diff(want, r.sub.RecvParts()); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}

	testkit.Eventually(t, "the subscription to reach the peer", func() bool {
		r.Host.Subscribe("in")
		if sent, err := sender.Events(r.xpub, r.xsub, 100); err != nil || sent.Controls != 1 || sent.Sent != 0 {
			t.Fatalf("%+v, %v", sent, err)
		}
		got := r.pub.TryRecv()
		return len(got) == 1 && got[0] == "\x01in"
	})
	r.pub.SendParts("in", "you", "format", long)
	r.pub.SendParts("in", "me", "format", "own")
	r.pub.SendParts("in", "you", "format")
	got := receive(t, 3, func() (cshim.Received, error) { return receiver.Events(r.xsub, cshim.Limits{}) })
	if got.Errors == 0 || got.BadParts != 3 {
		t.Errorf("%d messages of the wrong shape, the last with %d parts", got.Errors, got.BadParts)
	}
	if len(r.Drain()) != 0 {
		t.Error("the host sees events before the commit")
	}
	receiver.Commit()
	if diff := cmp.Diff([]testkit.Message{{Kind: cshim.Event, Topic: "in", Format: "format", Payload: long}}, r.Drain()); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}

	r.push.SendParts("log-write", "me", "log format", "rows")
	got = receive(t, 1, func() (cshim.Received, error) { return receiver.Logs(r.pull, cshim.Limits{}) })
	if rec := got.Records[0]; rec.Kind != cshim.Log || string(rec.Format()) != "log format" || string(rec.Payload()) != "rows" || len(rec.Topic()) != 0 {
		t.Errorf("log batch %+v", rec)
	}
	receiver.Commit()
	r.Tell(cshim.Warning, "for the operator")
	want := []testkit.Message{{Kind: cshim.Log, Format: "log format", Payload: "rows"}, {Kind: cshim.Warning, Payload: "for the operator"}}
	if diff := cmp.Diff(want, r.Drain()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A receive call keeps to its limits, and says what stopped it.
func TestLimits(t *testing.T) {
	const many = 30
	r := newRig(t)
	receiver := cshim.NewReceiver(r.Channel, "me")
	defer receiver.Close()
	for range many {
		r.push.SendParts("", "", "f", "0123456789")
	}
	total := 0
	testkit.Eventually(t, "all", func() bool {
		got, err := receiver.Logs(r.pull, cshim.Limits{Max: 7})
		if err != nil {
			t.Fatal(err)
		}
		if got.Taken > 7 || got.More != (got.Taken == 7) || got.Full {
			t.Fatalf("%+v with a limit of 7 messages", got)
		}
		total += len(got.Records)
		receiver.Commit()
		return total == many
	})

	// The inbox holds more bytes than allowed: the socket is left alone.
	r.push.SendParts("", "", "f", "x")
	got, err := receiver.Logs(r.pull, cshim.Limits{Bytes: 100})
	if err != nil || got.Taken != 0 || !got.Full {
		t.Errorf("%+v, %v with a full inbox", got, err)
	}
	r.Drain()
	receive(t, 1, func() (cshim.Received, error) { return receiver.Logs(r.pull, cshim.Limits{Bytes: 100}) })
	receiver.Commit()

	// What a check refuses the host does not see, and does not count.
	r.push.SendParts("", "", "f", "bad")
	r.push.SendParts("", "", "f", "good")
	seen := 0
	testkit.Eventually(t, "both", func() bool {
		got, err := receiver.Logs(r.pull, cshim.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range got.Records {
			seen++
			if string(rec.Payload()) == "bad" {
				receiver.Reject(rec)
			}
		}
		receiver.Commit()
		return seen == 2
	})
	if n := r.InboxDepth(testkit.ClassLog); n != 2 { // "x" and "good"
		t.Errorf("%d log batches in the inbox, want 2", n)
	}
	if all := r.Of(cshim.Log); all[len(all)-1].Payload != "good" || all[len(all)-2].Payload != "x" {
		t.Errorf("the host sees %v", all[len(all)-2:])
	}
}

// The edge rule: sending may take the news of an arrival off a socket's
// descriptor, after which only asking finds it.
func TestEdgeRule(t *testing.T) {
	r := newRig(t)
	receiver := cshim.NewReceiver(r.Channel, "me")
	defer receiver.Close()
	poller := cshim.NewPoller(r.Channel)
	defer poller.Close()
	bit := poller.Add(r.xpub)

	// The first wait asks by itself, and finds the connection's news.
	r.sub.Subscribe("first")
	receive(t, 1, func() (cshim.Received, error) { return receiver.Subscriptions(r.xpub, cshim.Limits{}) })

	lost := false
	for i := 0; i < 100 && !lost; i++ {
		topic := fmt.Sprint("topic", i)
		r.sub.Subscribe(topic)
		// Sends until the arrival's news is off the descriptor, or has come
		// through to this poller.
		testkit.Eventually(t, "news", func() bool {
			if err := r.xpub.Send([][]byte{[]byte("nobody wants this")}); err != nil {
				t.Fatal(err)
			}
			poller.Ask(bit)
			ready, err := poller.Wait(0)
			if err != nil {
				t.Fatal(err)
			}
			return ready&bit != 0
		})
		quiet, err := poller.Wait(0)
		if err != nil {
			t.Fatal(err)
		}
		lost = quiet&bit == 0

		poller.Ask(bit)
		if ready, err := poller.Wait(-1); err != nil || ready&bit == 0 {
			t.Fatalf("asked, the poller says %b, %v", ready, err)
		}
		got := receive(t, 1, func() (cshim.Received, error) { return receiver.Subscriptions(r.xpub, cshim.Limits{}) })
		if topic != string(got.Records[0].Topic()) {
			t.Fatalf("got %q", got.Records[0].Topic())
		}
	}
	if !lost {
		t.Error("no descriptor was quiet with a message waiting: the rule is not needed?")
	}
	receiver.Commit()
}

// A wait ends when the host queues something, and when it asks for the end,
// whichever comes first: before the wait or in it.
func TestPollerWakes(t *testing.T) {
	for name, wake := range map[string]func(*testkit.Host){
		"event":        func(h *testkit.Host) { h.Publish("t", "f", "p") },
		"subscription": func(h *testkit.Host) { h.Subscribe("t") },
		"log":          func(h *testkit.Host) { h.WriteLog("f", "p") },
		"stop":         func(h *testkit.Host) { h.Channel.Stop() },
	} {
		for _, before := range []bool{true, false} {
			h := testkit.NewHost(t)
			poller := cshim.NewPoller(h.Channel)
			if before {
				wake(h)
			}
			waiting := testkit.Go(func() error { _, err := poller.Wait(-1); return err })
			if !before {
				wake(h)
			}
			if err := testkit.Result(t, fmt.Sprintf("the wait, %s before it: %t", name, before), waiting); err != nil {
				t.Error(err)
			}
			poller.Close()
		}
	}
}

func TestWakePoller(t *testing.T) {
	p, err := cshim.NewWakePoller()
	if err != nil {
		t.Fatal(err)
	}
	p.Wake() // before the wait: not lost
	for range 100 {
		waiting := testkit.Go(func() error { _, err := p.Wait(-1); return err })
		if err := testkit.Result(t, "wait", waiting); err != nil {
			t.Error(err)
		}
		p.Wake()
	}
	begin := time.Now()
	p.Wait(0)
	p.Wait(20)
	if took := time.Since(begin); took < 20*time.Millisecond {
		t.Errorf("a wait of 20 ms took %v", took)
	}
	p.Close()
	p.Wake() // too late, and harmless
}

func TestShutdownEndsEveryCall(t *testing.T) {
	r := newRig(t)
	receiver := cshim.NewReceiver(r.Channel, "me")
	defer receiver.Close()
	r.ctx.Shutdown()
	_, err := receiver.Events(r.xsub, cshim.Limits{})
	if !errors.Is(err, cshim.ErrTerm) {
		t.Errorf("%v, want ErrTerm", err)
	}
}

func TestErrorsAreThoseOfLibzmq(t *testing.T) {
	r := newRig(t)
	taken, _ := r.pull.LastEndpoint()
	err := r.xpub.Bind(taken)
	if !errors.Is(err, syscall.EADDRINUSE) || err.Error() != "Address already in use" {
		t.Errorf("%v, want Address already in use", err)
	}
	if _, err := r.pull.Recv(); err != cshim.ErrAgain {
		t.Errorf("%v, want ErrAgain", err)
	}
}

func TestKeys(t *testing.T) {
	public, secret, err := cshim.Keypair()
	if err != nil || len(public) != 40 || len(secret) != 40 || public == secret {
		t.Fatalf("%q, %q, %v", public, secret, err)
	}
	key, err := cshim.Z85Decode(public)
	if err != nil || zmq.Z85encode(string(key)) != public {
		t.Errorf("%q decodes to %x, %v", public, key, err)
	}
	for _, bad := range []string{"", public[:39], public + "0"} {
		if _, err := cshim.Z85Decode(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

// Forwarding keeps messages whole and in order.
func TestRelay(t *testing.T) {
	r := newRig(t)
	stats := cshim.NewBrokerStats()
	relay, err := cshim.NewRelay(r.xsub, r.xpub, stats)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	ended := testkit.Go(relay.Run)
	r.sub.Subscribe("")
	r.pub.AwaitMessage("\x01")
	const many = 500 // the XPUBs drop above 1000
	for i := range many {
		r.pub.SendParts(append([]string{fmt.Sprint(i)}, make([]string, i%5)...)...)
	}
	for i := range many {
		if got := r.sub.RecvParts(); got[0] != fmt.Sprint(i) || len(got) != i%5+1 {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	relay.Stop()
	if err := testkit.Result(t, "the end", ended); err != nil {
		t.Error(err)
	}
	if got := stats.BackendMessagesSent.Load(); got != many {
		t.Errorf("counted %d messages", got)
	}
}

// Serving sends what comes, events and subscriptions, and ends for news on a
// socket and for a stop.
func TestServe(t *testing.T) {
	r := newServer(t)
	r.sub.Subscribe("")
	subscribed, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for told := false; !r.Host.Channel.Stopping(); {
			ready, err := r.poller.Serve(r.service)
			if err != nil {
				t.Error(err)
				return
			}
			if ready&r.xsubBit != 0 { // a connection: no message
				r.receiver.Events(r.xsub, cshim.Limits{})
			}
			if ready&r.xpubBit == 0 {
				continue
			}
			got, err := r.receiver.Subscriptions(r.xpub, cshim.Limits{})
			if err != nil {
				t.Error(err)
				return
			}
			if r.receiver.Commit(); got.Taken > 0 && !told {
				told = true
				close(subscribed)
			}
		}
	}()
	defer func() { // before what it uses is freed
		r.Host.Channel.Stop()
		<-ended
	}()
	testkit.Done(t, "news of the subscription", subscribed)

	const many = 500 // the XPUB drops above 1000
	for i := range many {
		r.Host.Publish("t", testkit.EventFormat, fmt.Sprint(i))
	}
	r.Host.Subscribe("mine")
	for i := range many {
		if got := r.sub.RecvParts(); got[0] != "t" || got[3] != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	r.pub.AwaitMessage("\x01mine")
	r.Host.Channel.Stop()
	testkit.Done(t, "the end", ended)
	if got := r.Host.Counters.EventsSent.Load(); got != many {
		t.Errorf("counted %d events sent", got)
	}
}

// Serving delivers events that are plain, wakes the host, and ends for those
// that are not, which are then the caller's to check, and for what meets a limit.
func TestServeDelivers(t *testing.T) {
	r := newServer(t)
	r.service.Deliver(r.receiver, cshim.Limits{Max: 100, Depth: 1000}, []string{"other", "Unknown::event"})

	// In one goroutine: the events are there before it serves.
	r.Host.Subscribe("t")
	served := uint64(0)
	serve := func(want string) (ready uint32) {
		t.Helper()
		for ready == 0 || ready&r.xpubBit != 0 {
			var err error
			if ready, err = r.poller.Serve(r.service); err != nil {
				t.Fatal(err)
			}
			served += r.service.Delivered()
			if ready&r.xpubBit != 0 { // of the connection
				r.receiver.Subscriptions(r.xpub, cshim.Limits{})
				r.receiver.Commit()
			}
		}
		if ready&r.xsubBit == 0 {
			t.Fatalf("%s: ended for %#x", want, ready)
		}
		return ready
	}
	send := func(format string, payloads ...string) {
		for _, p := range payloads {
			r.pub.SendParts("t", "m", format, p)
		}
	}
	if s, err := r.sender.Events(r.xpub, r.xsub, 10); err != nil || s.Controls != 1 {
		t.Fatal(s, err)
	}
	testkit.Eventually(t, "the subscription", func() bool {
		r.receiver.Events(r.xsub, cshim.Limits{}) // takes the connection
		got := r.pub.TryRecv()
		return len(got) == 1 && got[0] == "\x01t"
	})

	const many = 250
	for i := range many {
		send(testkit.EventFormat, testkit.NumberedEvent(i))
	}
	send(testkit.EventFormat, "neither plain nor valid")
	serve("an event that is not plain")
	// Those that came with it may not be decided yet either.
	got, ok := r.service.Undecided()
	if !ok || len(got.Records) == 0 || string(got.Records[len(got.Records)-1].Payload()) != "neither plain nor valid" {
		t.Fatalf("undecided: %v, %d records", ok, len(got.Records))
	}
	if delivered := len(r.Host.Of(cshim.Event)); delivered+len(got.Records) != many+1 || delivered < 100 ||
		served != uint64(delivered) || r.Host.Counters.EventsReceived.Load() != uint64(delivered) {
		t.Errorf("%d delivered, %d counted, %d undecided", delivered, served, len(got.Records))
	}
	if _, ok := r.service.Undecided(); ok {
		t.Error("undecided twice")
	}
	r.receiver.RejectAll()
	r.receiver.Commit()
	r.Host.Drain()

	for what, one := range map[string][2]string{
		"another format":      {"broker-json-v1", testkit.NumberedEvent(1)},
		"a name that is none": {testkit.EventFormat, args("\x00")[:len(plainHead)+1] + "\x05\x0eUnknown::event\x0e\x00"},
	} {
		send(one[0], one[1])
		serve(what)
		if got, ok := r.service.Undecided(); !ok || len(got.Records) != 1 {
			t.Errorf("%s: undecided: %v, %d records", what, ok, len(got.Records))
		}
		r.receiver.RejectAll()
		r.receiver.Commit()
	}
	r.pub.SendParts("t", "m", "three parts")
	serve("three parts")
	if got, ok := r.service.Undecided(); !ok || got.Errors != 1 || got.BadParts != 3 {
		t.Errorf("three parts: undecided: %v, %d errors", ok, got.Errors)
	}
	r.receiver.Commit()

	// At the limit they stay on the socket.
	before := len(r.Host.Of(cshim.Event))
	for i := range 500 {
		send(testkit.EventFormat, testkit.NumberedEvent(i))
	}
	r.service.Deliver(r.receiver, cshim.Limits{Max: 100, Depth: 300}, nil)
	serve("a full inbox")
	if n := r.Host.InboxDepth(0); n != 300 {
		t.Errorf("the inbox holds %d events, want 300", n)
	}
	if _, ok := r.service.Undecided(); ok {
		t.Error("undecided at the limit")
	}
	if got := r.Host.Of(cshim.Event)[before:]; len(got) != 300 || testkit.EventNumber(got[299].Payload) != 299 {
		t.Errorf("%d events were delivered", len(got))
	}
}

// A relay can be lent to a node, whose waits it then takes its turns in, and
// returned.
func TestLentRelay(t *testing.T) {
	r, node := newRig(t), newServer(t)
	relay, err := cshim.NewRelay(r.xsub, r.xpub, cshim.NewBrokerStats())
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	ended := testkit.Go(relay.Run)
	relay.Want()
	if err := testkit.Result(t, "the relay to be parked", ended); err != nil {
		t.Fatal(err)
	}
	if node.poller.Borrow(relay, 10); node.poller.RelayDue() {
		t.Error("it is due at once")
	}
	served := testkit.Go(func() error {
		for !node.poller.RelayDue() {
			if _, err := node.poller.Serve(node.service); err != nil {
				return err
			}
		}
		return nil
	})
	r.sub.Subscribe("")
	r.pub.AwaitMessage("\x01")
	pass := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			r.pub.SendParts(fmt.Sprint(i), "x")
		}
		for i := from; i < to; i++ {
			if got := r.sub.RecvParts(); got[0] != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, got)
			}
		}
	}
	pass(0, 500)
	turns := relay.Prod()
	testkit.Eventually(t, "a turn", func() bool { return relay.Prod() > turns })

	relay.Stop()
	if err := testkit.Result(t, "the node to see that the relay is due", served); err != nil {
		t.Fatal(err)
	}
	if !node.poller.ReturnRelay() || node.poller.ReturnRelay() || node.poller.RelayDue() {
		t.Error("it cannot be returned, or more than once")
	}
	r.pub.SendParts("500", "x")
	testkit.Eventually(t, "the last message", func() bool {
		_, err := relay.Round(5)
		return err == nil && len(r.sub.TryRecv()) > 0
	})
}
