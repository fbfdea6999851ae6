// SPDX-License-Identifier: BSD-3-Clause

package engine_test

import (
	"fmt"
	"testing"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// node is an engine under test between peers that stand where the broker and
// the loggers are.
type node struct {
	*testkit.Host
	*engine.Engine
	tb    testing.TB
	peers *testkit.Peers

	pub *testkit.Peer // an XPUB that the node's XSUB is connected to
	sub *testkit.Peer // an XSUB that the node's XPUB is connected to
}

const nodeID = "node-1"

// prepare makes the peers and the options of a node, and changes the latter.
func prepare(tb testing.TB, change func(*options.Options)) (*node, options.Options) {
	tb.Helper()
	return prepareWith(tb, testkit.NewHost(tb), change)
}

func prepareWith(tb testing.TB, host *testkit.Host, change func(*options.Options)) (*node, options.Options) {
	tb.Helper()
	n := &node{Host: host, tb: tb, peers: testkit.NewPeers(tb)}
	n.pub = n.peers.Bind(zmq.XPUB, testkit.NoDrop)
	n.sub = n.peers.Bind(zmq.XSUB).Watch()
	o := options.Default()
	o.NodeID = nodeID
	o.ConnectXSubEndpoint, o.ConnectXPubEndpoint = n.pub.Endpoint, n.sub.Endpoint
	if change != nil {
		change(&o)
	}
	return n, o
}

func (n *node) start(o options.Options) *node {
	n.tb.Helper()
	e, err := engine.Start(n.Channel, o)
	if err != nil {
		n.tb.Fatal(err)
	}
	n.Engine = e
	// A test that gave up must not wait for a linger time without bound.
	n.tb.Cleanup(func() {
		n.peers.Close()
		if err := e.Stop(); err != nil && !n.tb.Failed() {
			n.tb.Errorf("stop: %v", err)
		}
	})
	if o.ConnectXPubEndpoint == n.sub.Endpoint {
		n.sub.Attached()
	}
	return n
}

// start starts a node.
func start(tb testing.TB, change func(*options.Options)) *node {
	tb.Helper()
	n, o := prepare(tb, change)
	return n.start(o)
}

// stop stops the node while its peers are still there.
func (n *node) stop() {
	n.tb.Helper()
	if err := n.Engine.Stop(); err != nil {
		n.tb.Fatalf("stop: %v", err)
	}
}

// subscribed makes the node receive events of a topic.
func (n *node) subscribed(topic string) *node {
	n.tb.Helper()
	n.Host.Subscribe(topic)
	n.pub.AwaitMessage("\x01" + topic)
	return n
}

// heard makes the peer receive the node's events of a topic.
func (n *node) heard(topic string) *node {
	n.tb.Helper()
	n.sub.Subscribe(topic)
	n.AwaitTopic(n.tb, cshim.Subscription, topic)
	return n
}

// event sends the node an event from another node.
func (n *node) event(topic, payload string) {
	n.tb.Helper()
	n.pub.SendParts(topic, "node-2", testkit.EventFormat, payload)
}

// logger is a peer that stands where a logger is.
func logger(n *node, setups ...testkit.Setup) *testkit.Peer { return n.peers.Bind(zmq.PULL, setups...) }

// listening makes the node a logger, and returns a peer that sends to it.
func listening(tb testing.TB, change func(*options.Options)) (*node, *testkit.Peer) {
	tb.Helper()
	endpoint := testkit.FreeEndpoint(tb)
	n := start(tb, func(o *options.Options) {
		o.ListenLogEndpoint = endpoint
		if change != nil {
			change(o)
		}
	})
	return n, n.peers.Connect(endpoint, zmq.PUSH)
}

func (n *node) counter(what string, counter interface{ Load() uint64 }, want uint64) {
	n.tb.Helper()
	testkit.Eventually(n.tb, fmt.Sprintf("%s to be %d", what, want), func() bool { return counter.Load() >= want })
	if got := counter.Load(); got != want {
		n.tb.Errorf("%s: %d, want %d", what, got, want)
	}
}

// numbers are the numbers of messages whose payloads are numbered events.
func numbers(messages []testkit.Message) []int {
	var of []int
	for _, m := range messages {
		of = append(of, testkit.EventNumber(m.Payload))
	}
	return of
}

func upTo(n int) []int {
	of := make([]int, n)
	for i := range of {
		of[i] = i
	}
	return of
}
