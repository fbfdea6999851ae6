// SPDX-License-Identifier: BSD-3-Clause

package engine

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// BrokerContext is the libzmq context of a broker. A node of the same process
// that is told so (own_broker) has its sockets in it too, and reaches the broker
// by inproc instead of TCP: same messages, same marks, but two I/O threads and
// the network's stack less on the way.
//
// Not with CURVE, so that a node's wrong keys are noticed; and there is no
// reconnection, since such a connection cannot break.
type BrokerContext struct {
	*sharedContext
	offer *localBroker // nil before Offer, and with CURVE
}

// localBroker is where nodes of the process find a broker.
type localBroker struct {
	ctx            *sharedContext
	xpub, xsub     string // as nodes elsewhere know them
	inXPub, inXSub string // as nodes of the process do

	relay    *cshim.Relay
	lent     atomic.Bool   // to a node, or a node asks for it
	parked   chan struct{} // the broker's thread to the node's: take it
	returned chan struct{} // and back
	ended    chan struct{} // closed with the broker
}

var (
	localBrokers []*localBroker // guarded by contextMutex
	brokerNumber int
)

// NewBrokerContext makes a context with so many I/O threads.
func NewBrokerContext(ioThreads int) (*BrokerContext, error) {
	c, err := cshim.NewContext(ioThreads)
	if err != nil {
		return nil, err
	}
	return &BrokerContext{sharedContext: &sharedContext{Context: c, refs: 1}}, nil
}

// Offer binds the broker's sockets for nodes of the process, which know it by
// the listening endpoints in o. The first of them to ask is lent the relay.
func (c *BrokerContext) Offer(xpub, xsub *cshim.Socket, relay *cshim.Relay, o *options.Options) error {
	if o.CurveServer() {
		return nil
	}
	contextMutex.Lock()
	defer contextMutex.Unlock()
	brokerNumber++
	b := &localBroker{ctx: c.sharedContext, xpub: o.ListenXPubEndpoint, xsub: o.ListenXSubEndpoint,
		inXPub: fmt.Sprintf("inproc://broker-%d-xpub", brokerNumber), inXSub: fmt.Sprintf("inproc://broker-%d-xsub", brokerNumber),
		relay: relay, parked: make(chan struct{}), returned: make(chan struct{}), ended: make(chan struct{})}
	if err := xpub.Bind(b.inXPub); err != nil {
		return &EndpointError{"bind xpub", "listen_xpub_endpoint", b.inXPub, err}
	}
	if err := xsub.Bind(b.inXSub); err != nil {
		return &EndpointError{"bind xsub", "listen_xsub_endpoint", b.inXSub, err}
	}
	localBrokers = append(localBrokers, b)
	c.offer = b
	return nil
}

// Lend parks the broker's thread while a node that wanted the relay runs it.
func (c *BrokerContext) Lend() {
	c.offer.parked <- struct{}{}
	<-c.offer.returned
}

// borrow has the poller run the broker's relay, so that what the node sends and
// receives needs no other thread, unless another node does so already. Runs on
// the node's thread; give back before anything else that takes time.
func (b *localBroker) borrow(p *cshim.Poller, burst int) {
	if !b.lent.CompareAndSwap(false, true) {
		return
	}
	b.relay.Want()
	select {
	case <-b.parked:
		p.Borrow(b.relay, burst)
	case <-b.ended:
	}
}

// giveBack undoes borrow, if it is not undone.
func (b *localBroker) giveBack(p *cshim.Poller) {
	if p.ReturnRelay() {
		b.lent.Store(false)
		b.returned <- struct{}{}
	}
}

// Release gives the context back: no new node finds the broker, and once its
// last node has ended too, the context is terminated within the given time.
func (c *BrokerContext) Release(linger time.Duration) {
	contextMutex.Lock()
	localBrokers = slices.DeleteFunc(localBrokers, func(b *localBroker) bool { return b.ctx == c.sharedContext })
	contextMutex.Unlock()
	if c.offer != nil {
		close(c.offer.ended)
	}
	c.release(linger)
}

// ownBroker is the process's broker that the options mean, or nil. Called with
// contextMutex held.
func ownBroker(o *options.Options) *localBroker {
	if !o.OwnBroker || o.CurveClient() {
		return nil
	}
	for _, b := range localBrokers {
		if b.xpub == o.ConnectXSubEndpoint && b.xsub == o.ConnectXPubEndpoint {
			return b
		}
	}
	return nil
}
