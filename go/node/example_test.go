// SPDX-License-Identifier: BSD-3-Clause

package node_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/broker"
	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/node"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// exampleBroker stands for the one that the manager of a cluster runs.
func exampleBroker() (at node.Option, stop func() error) {
	o := options.Default()
	o.ListenXPubEndpoint, o.ListenXSubEndpoint = "tcp://127.0.0.1:*", "tcp://127.0.0.1:*"
	b, err := broker.Start(o, broker.NewStats())
	if err != nil {
		panic(err)
	}
	return node.Endpoints(b.Endpoints()), b.Stop
}

// A client publishes an event, and another receives it.
func ExampleConnect() {
	at, stop := exampleBroker() // in a cluster: node.Broker("manager.example.org"), or nothing on its host
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	receiver, err := node.Connect(at)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer receiver.Close()
	sub, _ := receiver.Subscribe("demo.", 0)
	if err := sub.Ready(ctx); err != nil {
		fmt.Println(err)
		return
	}

	sender, err := node.Connect(at)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sender.Close()
	e, _ := event.New("Demo::seen", netip.MustParseAddr("192.0.2.1"), uint64(3))
	if err := sender.Publish(ctx, "demo.hosts", e); err != nil {
		fmt.Println(err)
		return
	}

	m, err := sub.Next(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	got, _ := m.Event()
	fmt.Println(m.Topic, got.Name, got.Args)
	// Output: demo.hosts Demo::seen [192.0.2.1 3]
}

// A member of the cluster is seen by the others, and sees them.
func ExampleJoin() {
	at, stop := exampleBroker()
	defer stop()

	up := make(chan node.Peer, 1)
	manager, err := node.Join("manager", at, node.OnNodeUp(func(p node.Peer) { up <- p }))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()
	worker, err := node.Join("worker-1", at)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer worker.Close()

	p := <-up
	fmt.Println(p.Name, p.ID == worker.ID())
	// Output: worker-1 true
}
