// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/engine"
	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/cshim"
	"github.com/zeekzmq/zeek-zeromq/go/options"
)

// Bounds of what is kept: what is beyond is counted together, as others.
const (
	maxFlows = 4096
	others   = "(others)"
	// After this, what a full table knows of a topic or sender is forgotten.
	idle = time.Minute
	// Over less, rates mean nothing.
	leastInterval = 50 * time.Millisecond
)

// flow is the traffic of a topic or of a sender.
type flow struct {
	events, bytes uint64
	first, last   time.Time
	event         string // name of a recent one

	wasEvents, wasBytes uint64 // at the last cut
	sampled             bool   // event is of this interval
}

// meter counts the events that pass the broker. A goroutine on a thread of its
// own receives; it waits for nobody, since the broker would wait for it.
type meter struct {
	ctx    *cshim.Context
	socket *cshim.Socket
	poller *cshim.Poller
	met    func(name, id string) // called for each hello, by the receiving goroutine
	done   chan struct{}

	mutex           sync.Mutex
	stopping        bool
	err             error
	begun, lastCut  time.Time
	total           flow
	malformed       uint64
	topics, senders map[string]*flow
}

func startMeter(o *options.Options, met func(name, id string)) (*meter, error) {
	now := time.Now()
	m := &meter{met: met, done: make(chan struct{}), begun: now, lastCut: now, topics: map[string]*flow{}, senders: map[string]*flow{}}
	var err error
	if m.ctx, err = cshim.NewContext(1); err != nil {
		return nil, err
	}
	if m.poller, err = cshim.NewWakePoller(); err == nil {
		m.socket, err = engine.NewTapSocket(m.ctx, o)
	}
	if err == nil {
		err = m.socket.Send([][]byte{{1}}) // all topics
	}
	if err != nil {
		m.close()
		return nil, err
	}
	m.poller.Add(m.socket)
	go m.run()
	return m, nil
}

func (m *meter) close() {
	m.socket.Close()
	if m.poller != nil {
		m.poller.Close()
	}
	engine.TerminateContext(m.ctx, 0)
}

// stop ends the meter; what it counted can still be cut.
func (m *meter) stop() {
	m.mutex.Lock()
	m.stopping = true
	m.mutex.Unlock()
	m.poller.Wake()
	<-m.done
}

func (m *meter) run() {
	runtime.LockOSThread() // the thread ends with the goroutine
	cshim.SetThreadName("zeekzmq-meter")
	defer close(m.done)
	defer m.close()
	tap := cshim.NewTap(m.socket)
	defer tap.Close()
	for {
		n, err := m.receive(tap)
		if err == nil && n == 0 {
			_, err = m.poller.Wait(-1)
		}
		if err != nil {
			m.mutex.Lock()
			defer m.mutex.Unlock()
			if !m.stopping {
				m.err = err
			}
			return
		}
	}
}

// receive counts what has arrived, up to a batch. A panic is an error: it must
// not leave a terminal that is not put back.
func (m *meter) receive(tap *cshim.Tap) (n int, err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	if m.stopping {
		return 0, errStopped
	}
	now := time.Now()
	return tap.Recv(func(t *cshim.Tapped) { m.count(t, now) })
}

// count counts a message. The mutex is held.
func (m *meter) count(t *cshim.Tapped, now time.Time) {
	m.total.add(t.Bytes, now)
	if t.Parts != 4 {
		m.malformed++
		return
	}
	topic := flowOf(m.topics, t.Topic)
	topic.add(t.Bytes, now)
	flowOf(m.senders, t.Sender).add(t.Bytes, now)
	if !topic.sampled {
		topic.sampled = true
		topic.event = eventName(t)
	}
	if t.Whole && bytes.HasPrefix(t.Topic, []byte(nodeIDPrefix)) {
		m.hello(t)
	}
}

func (f *flow) add(bytes uint64, now time.Time) {
	if f.events++; f.events == 1 {
		f.first = now
	}
	f.bytes += bytes
	f.last = now
}

func flowOf(flows map[string]*flow, key []byte) *flow {
	if f := flows[string(key)]; f != nil {
		return f
	}
	name := string(key)
	if len(flows) >= maxFlows {
		if f := flows[others]; f != nil {
			return f
		}
		name = others
	}
	f := &flow{}
	flows[name] = f
	return f
}

// hello takes the names of nodes from their handshake.
func (m *meter) hello(t *cshim.Tapped) {
	f, err := event.ParseFormat(t.Format)
	if err != nil {
		return
	}
	e, err := f.Decode(t.Head)
	if err != nil || e.Name != "Cluster::Backend::ZeroMQ::hello" && e.Name != "Cluster::hello" {
		return
	}
	var name, id string
	// Only a node itself says who it is.
	if e.Scan(&name, &id) == nil && id == string(t.Sender) {
		m.met(name, id)
	}
}

// The first bytes of every event in broker-bin-v1: a list of version 1, kind 1,
// and another list.
var binHead = []byte("\x0e\x03\x02\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x00\x00\x00\x01\x0e")

// eventName is the name of an event, or empty if that is not at its beginning.
func eventName(t *cshim.Tapped) string {
	if string(t.Format) == event.BrokerBinV1.String() {
		rest, ok := bytes.CutPrefix(t.Head, binHead)
		if !ok || len(rest) < 3 || rest[1] != 5 {
			return ""
		}
		n, used := binary.Uvarint(rest[2:])
		if rest = rest[2:]; used <= 0 || n > uint64(len(rest)-used) {
			return ""
		}
		return string(rest[used : used+int(n)])
	}
	if f, err := event.ParseFormat(t.Format); err == nil && t.Whole {
		if e, err := f.Decode(t.Head); err == nil {
			return e.Name
		}
	}
	return ""
}

// rate is traffic since the last cut, and in all.
type rate struct {
	Events       uint64  `json:"events"`
	Bytes        uint64  `json:"bytes"`
	EventsPerSec float64 `json:"events_per_s"`
	BytesPerSec  float64 `json:"bytes_per_s"`
}

type flowRate struct {
	rate
	event       string
	first, last time.Time
}

// traffic is what the meter counted.
type traffic struct {
	seconds         float64 // since the last cut
	since           time.Time
	total           rate
	malformed       uint64
	topics, senders map[string]flowRate
}

// cut is of no time at all if seconds is 0: there are no rates then.
func (f *flow) cut(seconds float64) flowRate {
	r := flowRate{rate: rate{Events: f.events, Bytes: f.bytes}, event: f.event, first: f.first, last: f.last}
	if seconds == 0 {
		return r
	}
	r.EventsPerSec, r.BytesPerSec = float64(f.events-f.wasEvents)/seconds, float64(f.bytes-f.wasBytes)/seconds
	f.wasEvents, f.wasBytes, f.sampled = f.events, f.bytes, false
	return r
}

// cut returns the traffic since the last cut.
func (m *meter) cut() (traffic, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	now := time.Now()
	seconds := now.Sub(m.lastCut).Seconds()
	if seconds < leastInterval.Seconds() {
		seconds = 0
	} else {
		m.lastCut = now
	}
	tr := traffic{seconds: seconds, since: m.begun, total: m.total.cut(seconds).rate, malformed: m.malformed,
		topics: make(map[string]flowRate, len(m.topics)), senders: make(map[string]flowRate, len(m.senders))}
	for flows, to := range map[*map[string]*flow]map[string]flowRate{&m.topics: tr.topics, &m.senders: tr.senders} {
		for key, f := range *flows {
			to[key] = f.cut(seconds)
		}
		if len(*flows) < maxFlows {
			continue
		}
		for key, f := range *flows {
			if now.Sub(f.last) > idle && key != others {
				delete(*flows, key)
			}
		}
	}
	return tr, m.err
}

// restart forgets what was counted: what came before the broker was connected,
// or while it was not, gives no rates.
func (m *meter) restart() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.begun = time.Now()
	m.lastCut, m.total, m.malformed = m.begun, flow{}, 0
	clear(m.topics)
	clear(m.senders)
}

// ---- Nodes and subscriptions ----

// Topics of the cluster framework.
const (
	nodePrefix     = "zeek.cluster.node."
	nodeIDPrefix   = "zeek.cluster.nodeid."
	internalPrefix = "zeek.zeromq.internal."
)

const (
	maxNodes         = 4096
	maxSubscriptions = 16384
	// How long a node that is gone is shown.
	goneFor = 5 * time.Minute
)

// member is a process that has subscribed to its node id's topic.
type member struct {
	id, name string
	said     bool // the name is from its hello, not from its id
	seen     time.Time
	first    bool // it was there when we came
	gone     time.Time
}

// roster knows who is there, and what is subscribed to. Any goroutine.
type roster struct {
	mutex         sync.Mutex
	settled       bool // what was there when we came is known
	nodes         map[string]*member
	names         map[string]string // by id, as they said
	subscriptions map[string]known
}

// known is a subscription.
type known struct {
	since time.Time
	first bool // it was there when we came
}

func newRoster() *roster {
	return &roster{nodes: map[string]*member{}, names: map[string]string{}, subscriptions: map[string]known{}}
}

// subscribed is told of the first subscription to a prefix, and of the end of
// the last.
func (r *roster) subscribed(prefix string, on bool) {
	if strings.HasPrefix(prefix, internalPrefix) {
		return // somebody looks whether the broker is there, as we do
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	now := time.Now()
	if _, was := r.subscriptions[prefix]; on && !was && len(r.subscriptions) < maxSubscriptions {
		r.subscriptions[prefix] = known{now, !r.settled}
	} else if !on {
		delete(r.subscriptions, prefix)
	}

	id, ok := strings.CutPrefix(prefix, nodeIDPrefix)
	if !ok || len(id) < 2 {
		return
	}
	id = id[:len(id)-1]
	n := r.nodes[id]
	switch {
	case !on && n != nil:
		n.gone = now
	case on && n != nil:
		n.gone = time.Time{}
	case on && len(r.nodes) < maxNodes:
		n = &member{id: id, seen: now, first: !r.settled}
		n.name, _, _ = splitID(id)
		if name, ok := r.names[id]; ok {
			n.name, n.said = name, true
		}
		r.nodes[id] = n
	}
}

// met is told of a node's name.
func (r *roster) met(name, id string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if n := r.nodes[id]; n != nil {
		n.name, n.said = name, true
	}
	if len(r.names) < maxNodes {
		r.names[id] = name
	}
}

// settle says that all that there was is known now.
func (r *roster) settle() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.settled = true
}

// now returns copies of what is known, and forgets who is gone for long.
func (r *roster) now() (nodes []member, subscriptions map[string]known) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for id, n := range r.nodes {
		if !n.gone.IsZero() && time.Since(n.gone) > goneFor {
			delete(r.nodes, id)
			delete(r.names, id)
			continue
		}
		nodes = append(nodes, *n)
	}
	return nodes, maps.Clone(r.subscriptions)
}

// Node ids as Zeek makes them: zeromq_NAME_HOST_PID_NUNIQUE. That is nowhere
// promised, so what is taken from them is called a guess.
var idForm = regexp.MustCompile(`^zeromq_(.*)_([^_]+)_([0-9]{1,10})_N[0-9A-Za-z]+$`)

func splitID(id string) (name, host string, pid int) {
	parts := idForm.FindStringSubmatch(id)
	if parts == nil {
		return "", "", 0
	}
	pid, _ = strconv.Atoi(parts[3])
	return parts[1], parts[2], pid
}

// who says which nodes have a subscription, as far as topics tell.
func who(prefix string, names map[string]string) string {
	if id, ok := strings.CutPrefix(prefix, nodeIDPrefix); ok && len(id) > 1 {
		if name := names[id[:len(id)-1]]; name != "" {
			return name
		}
		return id[:len(id)-1]
	}
	if name, ok := strings.CutPrefix(prefix, nodePrefix); ok && strings.HasSuffix(name, ".") {
		return strings.TrimSuffix(name, ".")
	}
	for _, role := range roles {
		if prefix == "zeek.cluster."+role || prefix == "zeek.cluster.pool."+role {
			return "by convention: " + role
		}
	}
	if prefix == "" {
		return "this program, perhaps others"
	}
	return ""
}

var roles = []string{"manager", "logger", "proxy", "worker"}

// roleOf is the role that a name suggests.
func roleOf(name string) string {
	for _, role := range roles {
		if rest, ok := strings.CutPrefix(name, role); ok && (rest == "" || strings.Trim(rest, "-_.0123456789") == "") {
			return role
		}
	}
	return ""
}

var (
	errMeter   = errors.New("cannot receive events any more")
	errStopped = errors.New("stopped")
)
