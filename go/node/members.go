// SPDX-License-Identifier: BSD-3-Clause

package node

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
)

// Names of the events by which nodes get to know each other.
const (
	helloEvent   = "Cluster::Backend::ZeroMQ::hello"
	clusterHello = "Cluster::hello"
)

// A Peer is another member of the cluster.
type Peer struct {
	Name  string    // in the cluster's layout
	ID    string    // the node id of its process
	Since time.Time // when the node got to know it
}

// sign is what is known of a node that is not known yet. Only both together
// say that messages pass both ways.
type sign int

const (
	signSubscription sign = iota // it has subscribed to its node id's topic
	signHello                    // it has said hello
)

func (s sign) String() string {
	if s == signHello {
		return "hello"
	}
	return "subscription"
}

type seen struct {
	sign sign
	at   time.Time
}

// members is a member's part in the handshake, as in the scripts of the backend
// (main.zeek). All but all() is the pump's. A nil members does nothing.
type members struct {
	n     *Node
	signs map[string]seen // by node id

	mutex sync.Mutex
	up    map[string]Peer // by name
}

func newMembers(n *Node) *members {
	return &members{n: n, signs: map[string]seen{}, up: map[string]Peer{}}
}

// Peers returns the other members that are up, by name. A client knows none.
func (n *Node) Peers() []Peer {
	if n.members == nil {
		return nil
	}
	n.members.mutex.Lock()
	defer n.members.mutex.Unlock()
	peers := make([]Peer, 0, len(n.members.up))
	for _, p := range n.members.up {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.Name, b.Name) })
	return peers
}

// idOf is the node id that a topic belongs to; empty if it is another topic, or
// the node's own.
func (m *members) idOf(topic string) string {
	id, ok := strings.CutPrefix(topic, nodeIDTopicPrefix)
	if !ok || id == "" {
		return ""
	}
	if id = id[:len(id)-1]; id == m.n.id {
		return ""
	}
	return id
}

func (m *members) publish(id, name string) {
	e := &event.Event{Name: name, Args: []event.Value{m.n.name, m.n.id}}
	payload, err := event.Encode(m.n.cfg.format, e)
	if err != nil {
		m.n.cfg.log.Error("cannot encode the handshake", "event", name, "error", err)
		return
	}
	m.n.push(cshim.Event, NodeIDTopic(id), m.n.cfg.format.String(), payload)
}

func (m *members) subscribed(topic string) {
	if m == nil {
		return
	}
	if id := m.idOf(topic); id != "" {
		m.publish(id, helloEvent)
		m.saw(id, signSubscription)
	}
}

func (m *members) unsubscribed(topic string) {
	if m == nil {
		return
	}
	id := m.idOf(topic)
	if id == "" {
		return
	}
	if p, ok := m.find(func(p Peer) bool { return p.ID == id }); ok {
		m.down(p)
	} else {
		m.n.cfg.log.Warn("a node that never came up is gone", "id", id)
	}
}

// handle takes the events of the handshake, and says whether rec was one.
func (m *members) handle(rec *cshim.Record) bool {
	if m == nil || string(rec.Topic()) != NodeIDTopic(m.n.id) {
		return false
	}
	f, err := event.ParseFormat(rec.Format())
	if err != nil {
		return false
	}
	e, err := f.Decode(rec.Payload())
	if err != nil || (e.Name != helloEvent && e.Name != clusterHello) {
		return false
	}
	var name, id string
	if err := e.Scan(&name, &id); err != nil {
		m.n.cfg.log.Warn("ignored a malformed event of the handshake", "event", e.Name, "error", err)
		return true
	}

	known, ok := m.find(func(p Peer) bool { return p.Name == name })
	if e.Name == helloEvent {
		switch {
		case ok && known.ID == id:
			m.n.cfg.log.Warn("ignored a second hello", "name", name, "id", id)
			return true
		case ok:
			m.n.cfg.log.Warn("a node never said goodbye", "name", name, "old", known.ID, "new", id)
			m.down(known)
		}
		m.saw(id, signHello)
		return true
	}

	if ok && known.ID == id {
		return true
	}
	p := Peer{name, id, time.Now()}
	m.mutex.Lock()
	m.up[name] = p
	m.mutex.Unlock()
	if m.n.cfg.up != nil {
		m.n.cfg.up(p)
	}
	return true
}

func (m *members) saw(id string, s sign) {
	if other, ok := m.signs[id]; !ok {
		m.signs[id] = seen{s, time.Now()}
	} else if other.sign != s {
		delete(m.signs, id)
		m.publish(id, clusterHello)
	}
}

func (m *members) find(is func(Peer) bool) (Peer, bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, p := range m.up {
		if is(p) {
			return p, true
		}
	}
	return Peer{}, false
}

func (m *members) down(p Peer) {
	m.mutex.Lock()
	delete(m.up, p.Name)
	m.mutex.Unlock()
	if m.n.cfg.down != nil {
		m.n.cfg.down(p)
	}
}

// expire forgets signs that stayed alone, and returns when the next will: the
// zero time if there is none.
func (m *members) expire(now time.Time) (next time.Time) {
	if m == nil {
		return next
	}
	for id, s := range m.signs {
		at := s.at.Add(m.n.cfg.expiration)
		if !now.Before(at) {
			m.n.cfg.log.Warn("a node was not heard of in time", "seen", s.sign.String(), "id", id)
			delete(m.signs, id)
		} else if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}
