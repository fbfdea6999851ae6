// SPDX-License-Identifier: BSD-3-Clause

package node_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/node"
)

const manager = `
global ping: event(n: count, from: addr, tags: set[string]);
global pong: event(n: count, from: addr, tags: set[string], iv: interval);
event Cluster::node_up(name: string, id: string) { say(fmt("up %s %s", name, id)); }
event Cluster::node_down(name: string, id: string) { say(fmt("down %s %s", name, id)); }
event ping(n: count, from: addr, tags: set[string])
	{
	say(fmt("ping %s %s %s", n, from, |tags|));
	Cluster::publish(Cluster::worker_topic, pong, n + 1, from, tags, 1.5sec);
	Cluster::publish(Cluster::node_topic("worker-1"), pong, n + 2, from, tags, 1.5sec);
	}
event zeek_init() { Cluster::subscribe("zeek.demo."); say("started"); }
`

// A node in Go is a member of a cluster with a manager that is Zeek: with the
// backend that comes with Zeek, and with this project's.
func TestMemberOfAZeekCluster(t *testing.T) {
	for _, backend := range []struct{ name, plugin string }{{"built-in", ""}, {"plugin", testkit.Plugin()}} {
		t.Run(backend.name, func(t *testing.T) {
			if backend.name == "plugin" && backend.plugin == "" {
				t.Skip("SKIPPED: the plugin is not built")
			}
			before := testkit.InUse()
			xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
			z := testkit.StartZeek(t, backend.plugin, "manager", xpub, xsub, manager)
			up := make(chan node.Peer, 10)
			n := join(t, "worker-1", node.Endpoints(xpub, xsub), node.OnNodeUp(func(p node.Peer) { up <- p }))
			z.Await(t, "up worker-1 "+n.ID())
			if p := testkit.Result(t, "the manager to come up", up); p.Name != "manager" || !strings.Contains(p.ID, "manager") {
				t.Errorf("up: %+v", p)
			}

			role, own := subscribe(t, n, node.WorkerTopic, 0), subscribe(t, n, node.NodeTopic("worker-1"), 0)
			publish(t, n, node.ManagerTopic, "ping", uint64(40), netip.MustParseAddr("2001:db8::1"), event.Set{"a", "b"})
			z.Await(t, "ping 40 2001:db8::1 2")
			for i, s := range []*node.Subscription{role, own} {
				var c uint64
				var from netip.Addr
				var tags map[string]struct{}
				var iv time.Duration
				if err := next(t, s).Scan(&c, &from, &tags, &iv); err != nil || c != uint64(41+i) || len(tags) != 2 || iv != 1500*time.Millisecond {
					t.Errorf("%q: %v: %d %v %v %v", s.Prefix(), err, c, from, tags, iv)
				}
			}

			// Another one in its place, without a goodbye in between, is one too.
			n.Close()
			z.Await(t, "down worker-1 "+n.ID())
			again := join(t, "worker-1", node.Endpoints(xpub, xsub))
			z.Await(t, "up worker-1 "+again.ID())
			testkit.Eventually(t, "the manager to be known again", func() bool { return len(again.Peers()) == 1 })

			// A passive client is heard, and not seen.
			client := connect(t, node.Endpoints(xpub, xsub))
			publish(t, client, "zeek.demo.x", "ping", uint64(7), netip.MustParseAddr("192.0.2.1"), event.Set{})
			z.Await(t, "ping 7 192.0.2.1 0")
			client.Close()
			again.Close()
			z.Await(t, "down worker-1 "+again.ID())
			z.Stop()
			for _, bad := range []string{client.ID(), "Expired", "goodbye", "never came up", "Ignoring"} {
				if strings.Contains(z.Output(), bad) {
					t.Errorf("Zeek says %q:\n%s", bad, z.Output())
				}
			}
			before.Returns(t)
		})
	}
}

// A Go node's cluster survives the end of the manager, and with it of the broker.
func TestManagerRestarts(t *testing.T) {
	xpub, xsub := testkit.FreeEndpoint(t), testkit.FreeEndpoint(t)
	changes := make(chan string, 10)
	z := testkit.StartZeek(t, "", "manager", xpub, xsub, manager)
	n := join(t, "worker-2", node.Endpoints(xpub, xsub),
		node.OnNodeUp(func(p node.Peer) { changes <- "up " + p.Name }), node.OnNodeDown(func(p node.Peer) { changes <- "down " + p.Name }))
	z.Await(t, "up worker-2 "+n.ID())
	want := func(what string) {
		t.Helper()
		if got := testkit.Result(t, what, changes); got != what {
			t.Errorf("got %s, want %s", got, what)
		}
	}
	want("up manager")
	z.Stop()
	z = testkit.StartZeek(t, "", "manager", xpub, xsub, manager)
	z.Await(t, "up worker-2 "+n.ID())
	// The broker that could have told of its end has ended with it.
	want("down manager")
	want("up manager")
	publish(t, n, node.ManagerTopic, "ping", uint64(1), netip.MustParseAddr("192.0.2.1"), event.Set{})
	z.Await(t, "ping 1")
}
