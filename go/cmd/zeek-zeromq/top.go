// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/zeekzmq/zeek-zeromq/go/node"
)

func topCommand() *cobra.Command {
	c := &top{}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a cluster live",
		Long: `Shows a running cluster: its nodes, since when they are up, the topics with events and bytes a
second, who sends them, what is subscribed to, and log rows a second by path. It only listens,
as a client of the broker: nodes do not notice it. But to count all events it has all of them
sent to it, also those that nobody else has subscribed to.

Logs do not pass the broker: nodes send them to loggers. Their numbers, drops, and the time since
when a process is up are from the nodes' own metrics, as far as --metrics finds them: it takes
the metrics of a node or of this program's logger, and the /services.json of a manager, which
names all its nodes. Without it, that of zeekctl's clusters is tried on the broker's host, port
9991; "none" looks for nothing.

What is not known for sure says so: a role is that which the name suggests, unless metrics tell;
topics do not tell who has subscribed, unless they name a node.

Keys: q quit, tab next view, 1 to 5 views, up, down, PgUp and PgDn scroll, s sort, space pause. Without a
terminal, use --once or --json. Ctrl-Z does nothing: a program that is stopped and listens
would hold up the cluster. NO_COLOR turns colours off.`,
		Example: `  zeek-zeromq top --broker manager.example.org --metrics manager.example.org:9991/services.json
  zeek-zeromq top --once
  zeek-zeromq top --json --interval 10s --metrics none >> cluster.json`,
		Args: noArgs,
	}
	c.s = addClient(cmd)
	cmd.Flags().DurationVar(&c.interval, "interval", 2*time.Second, "`time` from one view to the next, over which rates are taken")
	cmd.Flags().BoolVar(&c.once, "once", false, "one view as text after one interval, or with --json as JSON, and exit")
	cmd.Flags().BoolVar(&c.json, "json", false, "a line of JSON for each interval")
	cmd.Flags().StringArrayVar(&c.metrics, "metrics", nil, "`URL` or HOST:PORT of metrics, or of a /services.json; may be given several times; none: do without")
	complete(cmd, "metrics", "none")
	connect := addConnectTimeout(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if c.interval < 100*time.Millisecond {
			return usagef("--interval %v: must be at least 100ms", c.interval)
		}
		if err := c.s.completeClient(); err != nil {
			return err
		}
		if c.scraper, err = newScraper(c.metrics, &c.s.Options); err != nil {
			return err
		}
		c.connectTimeout = *connect
		return c.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
	}
	return cmd
}

// unstoppable has the process not be stopped from the terminal: while it is, it
// receives nothing, and the broker and with it the cluster wait until the broker
// gives up the connection.
func unstoppable() { signal.Ignore(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU) }

// top is a run of top.
type top struct {
	s              *settings
	interval       time.Duration
	connectTimeout time.Duration
	once, json     bool
	metrics        []string

	node    *node.Node
	meter   *meter
	roster  *roster
	scraper *scraper // nil: none
	news    lastLine
}

// lastLine is a log that keeps its last line.
type lastLine struct {
	mutex sync.Mutex
	text  string
	at    time.Time
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.text, l.at = strings.TrimSpace(string(p)), time.Now()
	return len(p), nil
}

// recent is the line, if it is not old.
func (l *lastLine) recent() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if time.Since(l.at) > 10*time.Second {
		return ""
	}
	return l.text
}

func (c *top) run(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var screen *screen
	if !c.once && !c.json {
		var err error
		if screen, err = newScreen(stdin, stdout); err != nil {
			return err
		}
	}
	unstoppable()

	c.roster = newRoster()
	log := slog.New(slog.NewTextHandler(&c.news, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	var err error
	if c.meter, err = startMeter(&c.s.Options, c.roster.met); err != nil {
		return nicer(err)
	}
	defer c.meter.stop()
	all := make(chan struct{}, 1) // our own subscription came back
	if c.node, err = node.Connect(append(c.s.nodeOptions(log), node.OnSubscription(func(prefix string, on bool) {
		c.roster.subscribed(prefix, on)
		if prefix == "" && on {
			select {
			case all <- struct{}{}:
			default:
			}
		}
	}))...); err != nil {
		return nicer(err)
	}
	defer c.node.Close()

	ready, cancel := context.WithTimeout(ctx, c.connectTimeout)
	defer cancel()
	if err = c.node.Ready(ready); err == nil {
		select {
		case <-all:
		case <-ready.Done():
			err = errors.New("the broker does not answer a subscription to all topics")
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	c.roster.settle()
	if c.scraper != nil {
		if c.once {
			c.scraper.once(ctx, 5*time.Second)
		}
		scrapes, stop := context.WithCancel(ctx)
		scraped := make(chan struct{})
		go func() {
			defer close(scraped)
			if !c.once {
				c.scraper.run(scrapes, c.interval)
			}
		}()
		defer func() {
			stop()
			<-scraped
		}()
	}
	c.meter.restart()
	if screen != nil {
		return screen.run(ctx, c)
	}

	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.node.Done():
			return c.node.Err()
		case <-tick.C:
		}
		v, err := c.look()
		if err != nil {
			return err
		}
		if c.once && c.scraper != nil {
			c.scraper.once(ctx, 5*time.Second)
			c.addMetrics(v)
		}
		if c.json {
			err = writeJSON(stdout, v)
		} else {
			err = writeText(stdout, v)
		}
		if err != nil || c.once {
			return err
		}
	}
}

// ---- What is shown ----

// view is what is known at a time. Its names are those of --json.
type view struct {
	Time     time.Time `json:"time"`
	Since    time.Time `json:"since"`
	Interval float64   `json:"interval"` // seconds that the rates are of

	Broker struct {
		Endpoint  string `json:"connect_xsub_endpoint"`
		Connected bool   `json:"connected"`
		Problem   string `json:"problem,omitempty"`
	} `json:"broker"`
	Total         rate               `json:"total"`
	Malformed     uint64             `json:"malformed"` // not of four parts
	Nodes         []nodeView         `json:"nodes"`
	Topics        []topicView        `json:"topics"`
	Subscriptions []subscriptionView `json:"subscriptions"`
	Logs          []*logRate         `json:"logs"`        // rows that nodes write
	LoggerLogs    []*logRate         `json:"logger_logs"` // rows that loggers outside Zeek wrote
	Metrics       metrics            `json:"metrics"`     // where logs and more are from
	News          string             `json:"news,omitempty"`
}

type nodeView struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	NameFrom string `json:"name_from"`           // hello; topic: as its id says, and somebody has this name; id: a guess
	Kind     string `json:"kind"`                // node, or client: it only sends
	Role     string `json:"role,omitempty"`      //
	RoleFrom string `json:"role_from,omitempty"` // metrics, or name: a guess
	Broker   bool   `json:"broker"`              // runs the broker, as its metrics say
	Host     string `json:"host,omitempty"`
	PID      int    `json:"pid,omitempty"`
	rate

	Up        time.Time  `json:"up_since"`
	UpFrom    string     `json:"up_since_from"` // metrics; seen; before: it was there when this program came
	Down      *time.Time `json:"down_since,omitempty"`
	Rows      *float64   `json:"log_rows,omitempty"`
	RowsPerSc *float64   `json:"log_rows_per_s,omitempty"`
	Drops     *float64   `json:"drops,omitempty"`
}

type topicView struct {
	Topic string `json:"topic"`
	rate
	Event       string    `json:"event,omitempty"` // a recent one
	Last        time.Time `json:"last"`
	Subscribers []string  `json:"subscriptions"` // those that match
}

type subscriptionView struct {
	Prefix string    `json:"prefix"`
	Since  time.Time `json:"since"`
	From   string    `json:"since_from"` // seen, or before: it was there when this program came
	Who    string    `json:"who,omitempty"`
}

// gone says that something has already ended: what it never does.
var gone = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// look takes a view.
func (c *top) look() (*view, error) {
	tr, err := c.meter.cut()
	if err != nil {
		return nil, errors.Join(errMeter, err)
	}
	v := &view{Nodes: []nodeView{}, Topics: []topicView{}, Subscriptions: []subscriptionView{}, Time: time.Now().UTC(), Since: tr.since.UTC(), Interval: tr.seconds, Total: tr.total, Malformed: tr.malformed, News: c.news.recent()}
	v.Broker.Endpoint = c.s.ConnectXSubEndpoint
	if err := c.node.Ready(gone); err != nil {
		v.Broker.Problem, _, _ = strings.Cut(strings.TrimPrefix(err.Error(), node.ErrNotReady.Error()+": "), " (connect_")
	} else {
		v.Broker.Connected = true
	}

	nodes, subscriptions := c.roster.now()
	names := map[string]string{}
	for _, n := range nodes {
		_, host, pid := splitID(n.id)
		nv := nodeView{Name: n.name, ID: n.id, NameFrom: "id", Kind: "node", Host: host, PID: pid, Up: n.seen.UTC(), UpFrom: "seen"}
		if n.said {
			nv.NameFrom = "hello"
		} else if _, ok := subscriptions[nodePrefix+n.name+"."]; ok {
			nv.NameFrom = "topic"
		}
		if n.first {
			nv.UpFrom = "before"
		}
		if !n.gone.IsZero() {
			down := n.gone.UTC()
			nv.Down = &down
		}
		if nv.Role = roleOf(n.name); nv.Role != "" {
			nv.RoleFrom = "name"
		}
		nv.rate = tr.senders[n.id].rate
		names[n.id] = n.name
		v.Nodes = append(v.Nodes, nv)
	}
	for id, f := range tr.senders {
		if _, known := names[id]; known || id == others || time.Since(f.last) > goneFor {
			continue
		}
		name, host, pid := splitID(id)
		v.Nodes = append(v.Nodes, nodeView{Name: name, ID: id, NameFrom: "id", Kind: "client", Host: host, PID: pid, rate: f.rate,
			Up: f.first.UTC(), UpFrom: "seen"})
	}
	for p, k := range subscriptions {
		from := "seen"
		if k.first {
			from = "before"
		}
		v.Subscriptions = append(v.Subscriptions, subscriptionView{p, k.since.UTC(), from, who(p, names)})
	}
	slices.SortFunc(v.Subscriptions, func(a, b subscriptionView) int { return strings.Compare(a.Prefix, b.Prefix) })
	for topic, f := range tr.topics {
		t := topicView{Topic: topic, rate: f.rate, Event: jsonString(f.event), Last: f.last.UTC(), Subscribers: []string{}}
		for i := 1; i <= len(topic); i++ {
			if _, ok := subscriptions[topic[:i]]; ok {
				t.Subscribers = append(t.Subscribers, jsonString(topic[:i]))
			}
		}
		v.Topics = append(v.Topics, t)
	}
	c.addMetrics(v)
	for i := range v.Nodes {
		n := &v.Nodes[i]
		n.Name, n.ID = jsonString(n.Name), jsonString(n.ID)
	}
	for i := range v.Topics {
		v.Topics[i].Topic = jsonString(v.Topics[i].Topic)
	}
	for i := range v.Subscriptions {
		s := &v.Subscriptions[i]
		s.Prefix, s.Who = jsonString(s.Prefix), jsonString(s.Who)
	}
	v.sort(false)
	return v, nil
}

// addMetrics adds what the nodes' metrics say.
func (c *top) addMetrics(v *view) {
	v.Metrics = c.scraper.now()
	for i := range v.Nodes {
		n := &v.Nodes[i]
		m, ok := v.Metrics.nodes[n.Name]
		if !ok || n.Kind != "node" || n.Down != nil {
			continue
		}
		if !m.started.IsZero() {
			n.Up, n.UpFrom = m.started.UTC(), "metrics"
		}
		if m.role != "" && m.role != n.Role {
			n.Role, n.RoleFrom = m.role, "metrics"
		} else if m.role != "" {
			n.RoleFrom = "metrics"
		}
		n.Broker = m.broker
		n.Rows, n.RowsPerSc, n.Drops = &m.rows, &m.rowsPerSc, &m.drops
	}
	v.Logs, v.LoggerLogs = byRate(v.Metrics.logs), byRate(v.Metrics.written)
}

func byRate(logs map[string]*logRate) []*logRate {
	list := []*logRate{}
	for _, l := range logs {
		l.Path = jsonString(l.Path)
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *logRate) int {
		return cmp.Or(-cmp.Compare(a.RowsPerSec, b.RowsPerSec), -cmp.Compare(a.Rows, b.Rows), strings.Compare(a.Path, b.Path))
	})
	return list
}

// sort puts nodes and topics in order: by name, or what has most traffic first.
func (v *view) sort(byTraffic bool) {
	most := func(a, b rate) int {
		if !byTraffic {
			return 0
		}
		return cmp.Or(-cmp.Compare(a.BytesPerSec, b.BytesPerSec), -cmp.Compare(a.Bytes, b.Bytes))
	}
	slices.SortFunc(v.Nodes, func(a, b nodeView) int {
		return cmp.Or(-strings.Compare(a.Kind, b.Kind), most(a.rate, b.rate), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(v.Topics, func(a, b topicView) int {
		return cmp.Or(most(a.rate, b.rate), strings.Compare(a.Topic, b.Topic))
	})
}
