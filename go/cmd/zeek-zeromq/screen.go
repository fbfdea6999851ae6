// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// A table of a view. Cells are safe for a terminal, a column for each byte.
type table struct {
	title   string
	columns []column
	rows    [][]string
	marked  map[int]bool // rows to be seen first
	note    string       // instead of rows, or below them
}

type column struct {
	name  string
	right bool
	drop  int // when it is too narrow, the highest goes first; 0: stays
}

func amount(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 10:
		return fmt.Sprintf("%.1f", n)
	case n < 10e3:
		return fmt.Sprintf("%.0f", n)
	case n < 10e6:
		return fmt.Sprintf("%.0fk", n/1e3)
	case n < 10e9:
		return fmt.Sprintf("%.0fM", n/1e6)
	}
	return fmt.Sprintf("%.0fG", n/1e9)
}

func optional(n *float64, format func(float64) string) string {
	if n == nil {
		return "-"
	}
	return format(*n)
}

func whole(n float64) string { return fmt.Sprintf("%.0f", n) }

// clock is a time of today, or a date.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if now.Sub(t) < 24*time.Hour && t.Day() == now.Day() {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

func short(s string) string {
	if s == "" {
		return "-"
	}
	return ascii(s)
}

// guess marks what is not known for sure.
func guess(s string, sure bool) string {
	if s != "" && !sure {
		return ascii(s) + "?"
	}
	return short(s)
}

func (v *view) tables() []*table {
	nodes := &table{title: "NODES", marked: map[int]bool{}, columns: []column{{name: "NAME"}, {name: "ROLE", drop: 3}, {name: "UP SINCE", drop: 1},
		{name: "EVENTS/S", right: true}, {name: "BYTES/S", right: true}, {name: "LOG ROWS/S", right: true, drop: 2}, {name: "DROPS", right: true, drop: 4},
		{name: "HOST", drop: 5}, {name: "PID", right: true, drop: 6}}}
	for i, n := range v.Nodes {
		up := clock(n.Up, v.Time)
		switch n.UpFrom {
		case "before":
			up = "before " + up
		case "seen":
			up = "seen " + up
		}
		if n.Down != nil {
			up = "DOWN since " + clock(*n.Down, v.Time)
			nodes.marked[i] = true
		}
		role, sure := n.Role, n.RoleFrom == "metrics"
		if n.Kind == "client" {
			role, sure = "client", true
		}
		text := guess(role, sure)
		if n.Broker {
			text += "+broker"
		}
		if n.Drops != nil && *n.Drops > 0 {
			nodes.marked[i] = true
		}
		nodes.rows = append(nodes.rows, []string{guess(cmp.Or(n.Name, n.ID), n.NameFrom != "id" || n.Name == ""), text, up,
			amount(n.EventsPerSec), amount(n.BytesPerSec), optional(n.RowsPerSc, amount), optional(n.Drops, whole), short(n.Host), fmt.Sprint(n.PID)})
	}

	topics := &table{title: "TOPICS", columns: []column{{name: "TOPIC"}, {name: "EVENTS/S", right: true}, {name: "BYTES/S", right: true}, {name: "EVENTS", right: true, drop: 3},
		{name: "SUBSCRIBED BY PREFIX", drop: 2}, {name: "A RECENT EVENT", drop: 1}}}
	for _, t := range v.Topics {
		subscribed := "nobody"
		if len(t.Subscribers) > 0 {
			var list []string
			for _, s := range t.Subscribers {
				if s == t.Topic {
					s = "=" // the whole topic
				}
				list = append(list, ascii(s))
			}
			subscribed = strings.Join(list, " ")
		}
		topics.rows = append(topics.rows, []string{ascii(t.Topic), amount(t.EventsPerSec), amount(t.BytesPerSec), fmt.Sprint(t.Events), subscribed, short(t.Event)})
	}
	if len(v.Topics) == 0 {
		topics.note = "no events yet"
	}

	logs := &table{title: "LOGS", columns: []column{{name: "PATH"}, {name: "ROWS/S", right: true}, {name: "ROWS", right: true}}}
	for _, l := range v.Logs {
		logs.rows = append(logs.rows, []string{short(l.Path), amount(l.RowsPerSec), whole(l.Rows)})
	}
	for _, l := range v.LoggerLogs {
		logs.rows = append(logs.rows, []string{short(l.Path) + " (logger)", amount(l.RowsPerSec), whole(l.Rows)})
	}
	logs.note = v.Metrics.note()

	subs := &table{title: "SUBSCRIPTIONS", columns: []column{{name: "PREFIX"}, {name: "WHO, AS FAR AS THE TOPIC SAYS"}, {name: "SEEN", drop: 1}}}
	for _, s := range v.Subscriptions {
		seen := clock(s.Since, v.Time)
		if s.From == "before" {
			seen = "before " + seen
		}
		subs.rows = append(subs.rows, []string{ascii(s.Prefix), asciiText(s.Who), seen})
		if s.Who == "" {
			subs.rows[len(subs.rows)-1][1] = "-"
		}
	}
	return []*table{nodes, topics, logs, subs}
}

// note says where logs are from.
func (m *metrics) note() string {
	good := 0
	var bad string
	for _, e := range m.Endpoints {
		if e.Error == "" {
			good++
		} else if bad == "" {
			bad = e.URL + ": " + e.Error
		}
	}
	switch {
	case len(m.Endpoints) == 0 && m.Problem != "":
		return asciiText(m.Problem)
	case len(m.Endpoints) == 0:
		return "unknown without metrics (see --metrics)"
	case bad != "":
		return asciiText(fmt.Sprintf("metrics of %d of %d endpoints; %s", good, len(m.Endpoints), bad))
	}
	return ""
}

// heads are the lines above the tables.
func (v *view) heads() (title, sum string) {
	state := "connected"
	if !v.Broker.Connected {
		state = "NOT CONNECTED: " + v.Broker.Problem
	}
	nodes, clients := 0, 0
	for _, n := range v.Nodes {
		switch {
		case n.Kind == "client":
			clients++
		case n.Down == nil:
			nodes++
		}
	}
	title = fmt.Sprintf("zeek-zeromq top  %s  %s  %s", asciiText(v.Broker.Endpoint), asciiText(state), v.Time.Local().Format("15:04:05"))
	sum = fmt.Sprintf("%s, %s  %s events/s  %s bytes/s  %d events since %s", plural(uint64(nodes), "node"), plural(uint64(clients), "client"),
		amount(v.Total.EventsPerSec), amount(v.Total.BytesPerSec), v.Total.Events, clock(v.Since, v.Time))
	if v.Malformed > 0 {
		sum += fmt.Sprintf("  %d MALFORMED", v.Malformed)
	}
	return title, sum
}

// style says how lines are shown; none in text.
type style struct{ title, head, mark, end string }

var (
	noStyle  = style{}
	ansi     = style{"\x1b[7m", "\x1b[1m", "\x1b[31m", "\x1b[0m"}
	ansiMono = style{"\x1b[7m", "\x1b[1m", "\x1b[1m", "\x1b[0m"}
)

// lines lays the table out, with the rows from one on, in a width and height;
// 0: no bound.
func (t *table) lines(width, height, from int, st style) []string {
	columns := make([]int, 0, len(t.columns)) // those shown
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		columns = append(columns, i)
		widths[i] = len(c.name)
		for _, r := range t.rows {
			widths[i] = max(widths[i], len(r[i]))
		}
	}
	sum := func() int {
		n := 2 * (len(columns) - 1)
		for _, i := range columns {
			n += widths[i]
		}
		return n
	}
	// The first column gives up what it does not need, then others go.
	const least = 24
	for width > 0 && sum() > width {
		if over := sum() - width; widths[columns[0]] > least {
			widths[columns[0]] = max(least, widths[columns[0]]-over)
			continue
		}
		last := len(columns) - 1
		if over := sum() - width; !t.columns[columns[last]].right && widths[columns[last]] > 16 {
			widths[columns[last]] = max(16, widths[columns[last]]-over)
			continue
		}
		drop := -1
		for at, i := range columns {
			if t.columns[i].drop > 0 && (drop < 0 || t.columns[i].drop > t.columns[columns[drop]].drop) {
				drop = at
			}
		}
		if drop < 0 {
			break
		}
		columns = append(columns[:drop], columns[drop+1:]...)
	}
	line := func(cell func(i int) string) string {
		var b strings.Builder
		for at, i := range columns {
			if at > 0 {
				b.WriteString("  ")
			}
			text := cell(i)
			if len(text) > widths[i] {
				text = text[:max(0, widths[i]-1)] + ">"
			}
			pad := strings.Repeat(" ", widths[i]-len(text))
			if t.columns[i].right {
				b.WriteString(pad + text)
			} else {
				b.WriteString(text + pad)
			}
		}
		return fit(b.String(), width)
	}
	var out []string
	add := func(style, text string) {
		if style != "" {
			text = style + text + st.end
		}
		out = append(out, text)
	}
	add(st.head, line(func(i int) string {
		if i == 0 {
			return t.title
		}
		return t.columns[i].name
	}))
	rows := t.rows[min(from, len(t.rows)):]
	room := len(rows)
	if height > 0 {
		room = max(0, height-1)
		if t.note != "" && len(rows) >= room {
			room--
		}
	}
	for n, r := range rows {
		if n == room-1 && len(rows) > room {
			add("", fit(fmt.Sprintf("... %d more", len(rows)-n), width))
			break
		}
		if n >= room {
			break
		}
		mark := ""
		if t.marked[n+min(from, len(t.rows))] {
			mark = st.mark
		}
		add(mark, line(func(i int) string { return r[i] }))
	}
	if t.note != "" && (height == 0 || len(out) < height) {
		add("", fit("  "+t.note, width))
	}
	return out
}

// fit cuts a line to a width and drops blanks at its end.
func fit(s string, width int) string {
	s = strings.TrimRight(s, " ")
	if width <= 0 {
		return s
	}
	n := 0
	for i := range s {
		if n == width {
			return s[:i]
		}
		n++
	}
	return s
}

// writeText writes a view without a terminal.
func writeText(to io.Writer, v *view) error {
	title, sum := v.heads()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n", title, sum)
	for _, t := range v.tables() {
		b.WriteByte('\n')
		for _, l := range t.lines(0, 0, 0, noStyle) {
			b.WriteString(l + "\n")
		}
	}
	_, err := to.Write(b.Bytes())
	return err
}

// ---- The terminal ----

// screen is the terminal. One goroutine draws, another reads keys; both may wait
// for the terminal, and what counts events for neither.
type screen struct {
	in, out *os.File // in: nil if it is no terminal
	style   style

	shown   int // 0: all tables, else one of them
	from    int // its first row
	traffic bool
	paused  bool
}

const enter, leave = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"

func newScreen(stdin io.Reader, stdout io.Writer) (*screen, error) {
	out, ok := stdout.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return nil, usagef("standard output is no terminal: use --once or --json")
	}
	// In the background it would take the terminal from the shell.
	if group, err := unix.IoctlGetInt(int(out.Fd()), unix.TIOCGPGRP); err == nil && group != unix.Getpgrp() {
		return nil, usagef("the terminal is another one's, as this runs in the background: use --once or --json")
	}
	if kind := os.Getenv("TERM"); kind == "dumb" || kind == "" {
		return nil, usagef("the terminal (TERM=%q) cannot move its cursor: use --once or --json", kind)
	}
	s := &screen{out: out, style: ansi}
	if os.Getenv("NO_COLOR") != "" {
		s.style = ansiMono
	}
	if in, ok := stdin.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		s.in = in
	}
	return s, nil
}

// run shows views until the context ends, q or Ctrl-C.
func (s *screen) run(ctx context.Context, c *top) error {
	keys := make(chan string)
	done := make(chan struct{})
	defer close(done)
	if s.in != nil {
		old, err := term.MakeRaw(int(s.in.Fd()))
		if err != nil {
			return fmt.Errorf("cannot use the terminal: %w", err)
		}
		defer term.Restore(int(s.in.Fd()), old)
		go s.readKeys(keys, done)
	}
	if _, err := s.out.WriteString(enter); err != nil {
		return err
	}
	defer s.out.WriteString(leave)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)

	v, err := c.look()
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for err == nil {
		if err = s.draw(v); err != nil {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.node.Done():
			return c.node.Err()
		case <-resized:
		case <-tick.C:
			if !s.paused {
				v, err = c.look()
			}
		case key := <-keys:
			if s.key(key) {
				return nil
			}
		}
	}
	return err
}

// readKeys reads until done, or as long as the process lives: a read of a
// terminal cannot be ended.
func (s *screen) readKeys(keys chan<- string, done <-chan struct{}) {
	buf := make([]byte, 64)
	for {
		n, err := s.in.Read(buf)
		if err != nil {
			return
		}
		for _, k := range splitKeys(string(buf[:n])) {
			select {
			case keys <- k:
			case <-done:
				return
			}
		}
	}
}

// splitKeys takes apart what was typed at once: characters and sequences.
func splitKeys(s string) (keys []string) {
	for len(s) > 0 {
		n := 1
		if strings.HasPrefix(s, "\x1b[") || strings.HasPrefix(s, "\x1bO") {
			for n = 2; n < len(s) && (s[n] < 0x40 || s[n] > 0x7e); n++ {
			}
			n = min(n+1, len(s))
		}
		keys = append(keys, s[:n])
		s = s[n:]
	}
	return keys
}

// key does what a key says, and whether that is to end.
func (s *screen) key(key string) (quit bool) {
	page := max(1, s.height()-5)
	view := func(n int) { s.shown, s.from = n, 0 }
	scroll := func(by int) {
		if s.shown == 0 {
			s.shown = 1
		}
		s.from = max(0, s.from+by)
	}
	switch key {
	case "q", "Q", "\x03", "\x04":
		return true
	case "\t":
		view((s.shown + 1) % 5)
	case "\x1b[Z":
		view((s.shown + 4) % 5)
	case "1", "2", "3", "4", "5":
		view(int(key[0] - '1'))
	case "\x1b[A", "\x1bOA", "k":
		scroll(-1)
	case "\x1b[B", "\x1bOB", "j":
		scroll(1)
	case "\x1b[5~":
		scroll(-page)
	case "\x1b[6~":
		scroll(page)
	case "s", "S":
		s.traffic = !s.traffic
	case " ":
		s.paused = !s.paused
	}
	return false
}

func (s *screen) height() int {
	_, h, err := term.GetSize(int(s.out.Fd()))
	if err != nil {
		return 24
	}
	return h
}

// draw draws a view with one write, over what is there.
func (s *screen) draw(v *view) error {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, l := range s.frame(v, width, height) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(l + "\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, err = s.out.Write(b.Bytes())
	return err
}

// frame is a view as lines for a terminal of a size.
func (s *screen) frame(v *view, width, height int) []string {
	v.sort(s.traffic)
	title, sum := v.heads()
	title = fit(title, width)
	lines := []string{s.style.title + title + strings.Repeat(" ", max(0, width-len(title))) + s.style.end, fit(sum, width)}
	foot := "q quit  tab view  up/down scroll  s sort  space pause"
	switch {
	case v.News != "":
		foot = asciiText(v.News)
	case s.paused:
		foot = "PAUSED  " + foot
	}
	tables := v.tables()
	if s.shown > 0 {
		tables = tables[s.shown-1 : s.shown]
		// Not past the last row.
		s.from = max(0, min(s.from, len(tables[0].rows)-1))
	}
	// Each has a line before it, the foot is one. Better few tables than heads of all.
	room := func() int { return height - len(lines) - 1 - len(tables) }
	for len(tables) > 1 && room() < 5*len(tables) {
		tables = tables[:len(tables)-1]
	}
	wants := make([]int, len(tables))
	for i, t := range tables {
		wants[i] = 1 + len(t.rows)
		if t.note != "" {
			wants[i]++
		}
	}
	got := shares(room(), wants)
	for i, share := range got {
		if share < 2 {
			continue // a head alone says nothing
		}
		from := 0
		if s.shown > 0 {
			from = s.from
		}
		lines = append(lines, "")
		lines = append(lines, tables[i].lines(width, share, from, s.style)...)
	}
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	return append(lines[:max(0, min(len(lines), height-1))], fit(foot, width))
}

// shares divides room by what is wanted: who wants little gets it.
func shares(room int, wants []int) []int {
	got := make([]int, len(wants))
	for left := len(wants); left > 0 && room > 0; {
		each := max(1, room/left)
		left = 0
		for i, w := range wants {
			if add := min(each, w-got[i], room); add > 0 {
				got[i] += add
				room -= add
			}
			if got[i] < w {
				left++
			}
		}
	}
	return got
}
