// SPDX-License-Identifier: BSD-3-Clause

package engine_test

import (
	"testing"

	zmq "github.com/pebbe/zmq4"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// keys are a cluster's: one pair for what listens, one for all that connect.
type keys struct{ serverPublic, serverSecret, clientPublic, clientSecret string }

func newKeys(t *testing.T) keys {
	var k keys
	k.serverPublic, k.serverSecret = testkit.Keypair(t)
	k.clientPublic, k.clientSecret = testkit.Keypair(t)
	return k
}

func (k keys) set(o *options.Options) {
	o.CurveServerPublicKey, o.CurveServerSecretKey = k.serverPublic, k.serverSecret
	o.CurveClientPublicKey, o.CurveClientSecretKey = k.clientPublic, k.clientSecret
}

func TestLoggerLetsInThoseWithTheKeyAlone(t *testing.T) {
	k := newKeys(t)
	n, o := prepare(t, k.set)
	// The peers stand for a broker with the same keys.
	n.pub.Close()
	n.sub.Close()
	n.pub = n.peers.Bind(zmq.XPUB, testkit.CurveServer(k.serverSecret))
	n.sub = n.peers.Bind(zmq.XSUB, testkit.CurveServer(k.serverSecret)).Watch()
	o.ConnectXSubEndpoint, o.ConnectXPubEndpoint = n.pub.Endpoint, n.sub.Endpoint
	o.ListenLogEndpoint = testkit.FreeEndpoint(t)
	n.start(o).heard("")
	n.subscribed("")

	strangerPublic, strangerSecret := testkit.Keypair(t)
	connect := func(setups ...testkit.Setup) *testkit.Peer {
		p := n.peers.Socket(zmq.PUSH, setups...).Watch()
		if err := p.Connect(o.ListenLogEndpoint); err != nil {
			t.Fatal(err)
		}
		p.SendParts("log-write", "stranger", testkit.LogFormat, "from a stranger")
		return p
	}
	refused := []zmq.Event{zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
		zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED}

	wrong := connect(testkit.CurveClient(k.serverPublic, strangerPublic, strangerSecret))
	if got := wrong.AwaitEvent(refused...); got != zmq.EVENT_HANDSHAKE_FAILED_AUTH {
		t.Errorf("with another client's key: %v, want EVENT_HANDSHAKE_FAILED_AUTH", got)
	}
	if got := connect().AwaitEvent(refused...); got == zmq.EVENT_HANDSHAKE_SUCCEEDED {
		t.Error("a peer without encryption was let in")
	}
	if got := connect(testkit.CurveClient(strangerPublic, k.clientPublic, k.clientSecret)).AwaitEvent(refused...); got == zmq.EVENT_HANDSHAKE_SUCCEEDED {
		t.Error("a peer that expects another server was let in")
	}

	right := n.peers.Connect(o.ListenLogEndpoint, zmq.PUSH, testkit.CurveClient(k.serverPublic, k.clientPublic, k.clientSecret))
	right.SendParts("log-write", "node-2", testkit.LogFormat, testkit.LogBatch(t))
	if got := n.Await(t, 1, cshim.Log); len(got) != 1 || got[0].Payload != testkit.LogBatch(t) {
		t.Errorf("%v", got)
	}
	n.counter("invalid logs", &n.Counters.InvalidLogs, 0)

	// The node's own connections work.
	n.event("t", testkit.Event(t))
	n.Await(t, 1, cshim.Event)
	n.Publish("t", testkit.EventFormat, testkit.Event(t))
	if got := n.sub.RecvParts(); len(got) != 4 {
		t.Errorf("%q", got)
	}
}

// With keys, a node speaks to nobody that has not the server's.
func TestNodeRefusesAnotherServer(t *testing.T) {
	k, other := newKeys(t), newKeys(t)
	n, o := prepare(t, k.set)
	for name, setup := range map[string]testkit.Setup{
		"other key": testkit.CurveServer(other.serverSecret),
		"plain":     func(*zmq.Socket) error { return nil },
	} {
		server := n.peers.Bind(zmq.XPUB, setup).Watch()
		o := o
		o.ConnectXSubEndpoint = server.Endpoint
		host := testkit.NewHost(t)
		m := (&node{Host: host, tb: t, peers: n.peers, pub: server, sub: n.sub})
		o.ConnectXPubEndpoint = testkit.FreeEndpoint(t)
		m.start(o)
		m.Host.Subscribe("secret topic")
		switch got := server.AwaitEvent(zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
			zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED); got {
		case zmq.EVENT_HANDSHAKE_SUCCEEDED:
			t.Errorf("%s: the node spoke to it", name)
		}
		if got := server.TryRecv(); got != nil {
			t.Errorf("%s: the node told it %q", name, got)
		}
	}
}
