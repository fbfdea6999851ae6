// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	workers   = 2
	loggers   = 2
	questions = 1000 // as in ../zeek/demo.zeek and ../node.c
)

var nodeNames = []string{"manager", "logger-1", "logger-2", "proxy-1", "worker-1", "worker-2"}

// How long nothing may happen that shows: while processes start, and later; and
// how long all of it may take.
const (
	startPatience = 45 * time.Second
	patience      = 20 * time.Second
	timeLimit     = 100 * time.Second
)

func role(name string) string {
	r, _, _ := strings.Cut(name, "-")
	return r
}

type node struct {
	name string
	dir  string
	cmd  *exec.Cmd

	up          map[string]bool // nodes that it saw come up
	everUp      int
	sent        int // events; -1: it did not tell
	received    int
	usesEngine  bool
	captureRead bool
	answers     int
	counter     rowCounter

	toldToEnd bool
	ended     bool
	endError  error
}

// A message is a line that a node printed, or its end.
type message struct {
	node  *node
	words []string
	ended bool
	err   error
}

type cluster struct {
	kind     *kind
	nodes    []*node
	byName   map[string]*node
	messages chan message
	screen   *screen

	wantRows int
	started  bool
	finished bool
	killed   bool
	median   float64
	hosts    int
	wrong    []string // what nodes complained about
	problem  string   // why it was given up

	changed time.Time // when something last happened
}

func newCluster(k *kind, work string, wantRows int) *cluster {
	c := &cluster{kind: k, byName: map[string]*node{}, messages: make(chan message, 100), wantRows: wantRows, hosts: -1}
	for _, name := range nodeNames {
		n := &node{name: name, dir: filepath.Join(work, name), up: map[string]bool{}, sent: -1, received: -1}
		c.nodes = append(c.nodes, n)
		c.byName[name] = n
	}
	return c
}

// childAttributes keep a terminal's Ctrl-C from the nodes, which we stop
// ourselves, and end them if we are killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func (c *cluster) start(n *node) error {
	if err := os.Mkdir(n.dir, 0o777); err != nil {
		return err
	}
	stderr, err := os.Create(filepath.Join(n.dir, "stderr"))
	if err != nil {
		return err
	}
	defer stderr.Close()

	n.cmd = c.kind.node(c.kind, n.name)
	n.cmd.Dir = n.dir
	n.cmd.Stderr = stderr
	n.cmd.SysProcAttr = childAttributes()
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %v", n.name, err)
	}

	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "demo" {
				c.messages <- message{node: n, words: words[1:]}
			}
		}
		io.Copy(io.Discard, out)
		c.messages <- message{node: n, ended: true, err: n.cmd.Wait()}
	}()
	return nil
}

// run starts the cluster, watches it, and ends it. What went wrong in the cluster
// is in c afterwards; the error is about what prevented it from running at all.
func (c *cluster) run(ctx context.Context) error {
	c.changed = time.Now()
	for _, n := range c.nodes {
		if err := c.start(n); err != nil {
			return err
		}
	}

	c.screen = newScreen()
	defer c.screen.close()

	limit, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()

	// As zeekctl does it: what produces first, what it sends to last. The broker
	// is in the manager.
	steps := []struct {
		until func() bool
		then  []string
	}{
		{func() bool { return c.finished }, []string{"worker-1", "worker-2", "proxy-1"}},
		{func() bool { return c.allEnded("worker", "proxy") && c.rows() >= c.wantRows }, []string{"logger-1", "logger-2"}},
		{func() bool { return c.allEnded("logger") }, []string{"manager"}},
		{func() bool { return c.allEnded("manager") }, nil},
	}
	for _, s := range steps {
		if err := c.watch(ctx, limit, s.until); err != nil {
			return err
		}
		if c.problem != "" {
			break
		}
		for _, name := range s.then {
			c.terminate(c.byName[name])
		}
	}
	if c.problem != "" {
		c.giveUp(ctx)
	}
	c.rows()
	c.screen.show(c.progress(), true)
	return nil
}

// watch takes messages until the condition holds or there is a problem.
func (c *cluster) watch(ctx, limit context.Context, until func() bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for c.problem == "" && !until() {
		select {
		case <-limit.Done():
			if ctx.Err() != nil {
				return errInterrupted
			}
			c.problem = fmt.Sprintf("not finished within %.0f seconds: %s", timeLimit.Seconds(), c.waitingFor())
		case m := <-c.messages:
			c.take(m)
		case <-tick.C:
			before := c.rowsSeen()
			if c.rows() != before {
				c.changed = time.Now()
			}
			// Rows that have not come by now will not come: that is told by the
			// comparison, so it is no reason to stop here.
			if c.finished && c.allEnded("worker", "proxy") && time.Since(c.changed) > patience/4 && !c.byName["logger-1"].toldToEnd {
				return nil
			}
			most := patience
			if !c.started {
				most = startPatience
			}
			if time.Since(c.changed) > most {
				c.problem = fmt.Sprintf("nothing has happened for %.0f seconds: %s", most.Seconds(), c.waitingFor())
			}
			c.screen.show(c.progress(), false)
		}
	}
	return nil
}

func (c *cluster) take(m message) {
	c.changed = time.Now()
	n := m.node
	if m.ended {
		n.ended, n.endError = true, m.err
		if c.problem != "" {
			return
		}
		if !n.toldToEnd {
			c.problem = fmt.Sprintf("%s ended while the cluster was running (%s)", n.name, exitText(m.err))
		} else if m.err != nil {
			c.problem = fmt.Sprintf("%s did not end well (%s)", n.name, exitText(m.err))
		}
		return
	}

	arg := func(i int) string {
		if i < len(m.words) {
			return m.words[i]
		}
		return ""
	}
	num := func(i int) int {
		v, _ := strconv.Atoi(arg(i))
		return v
	}
	switch arg(0) {
	case "up":
		n.up[arg(1)] = true
		n.everUp = max(n.everUp, len(n.up))
	case "down":
		delete(n.up, arg(1))
	case "start":
		c.started = true
		c.lookForEngine()
	case "answers":
		if w := c.byName[arg(1)]; w != nil {
			w.answers = num(2)
		}
		if kill != "" && !c.killed && c.answers() > questions*workers/3 {
			c.killed = true
			if victim := c.byName[kill]; victim != nil {
				victim.cmd.Process.Kill()
			}
		}
	case "capture":
		if w := c.byName[arg(1)]; w != nil {
			w.captureRead = true
		}
	case "hosts":
		c.hosts = num(2)
	case "median":
		c.median, _ = strconv.ParseFloat(arg(1), 64)
	case "finished":
		c.finished = true
	case "events":
		n.sent, n.received = num(1), num(2)
	default:
		c.wrong = append(c.wrong, n.name+" says: "+strings.Join(m.words, " "))
	}
}

// lookForEngine finds out which nodes have the engine in their process.
func (c *cluster) lookForEngine() {
	for _, n := range c.nodes {
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", n.cmd.Process.Pid))
		n.usesEngine = bytes.Contains(maps, []byte("/libzeekzmq.so"))
	}
}

func (c *cluster) terminate(n *node) {
	n.toldToEnd = true
	if n.cmd != nil && !n.ended {
		n.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// giveUp ends what still runs, with a little time for it.
func (c *cluster) giveUp(ctx context.Context) {
	for _, roles := range [][]string{{"worker", "proxy"}, {"logger"}, {"manager"}} {
		for _, n := range c.nodes {
			if contains(roles, role(n.name)) {
				c.terminate(n)
			}
		}
		for late := time.After(8 * time.Second); !c.allEnded(roles...); {
			select {
			case m := <-c.messages:
				c.take(m)
			case <-late:
				c.killAll()
			case <-ctx.Done():
				c.killAll()
			}
		}
	}
}

// killAll leaves no process behind, whatever happened.
func (c *cluster) killAll() {
	running := false
	for _, n := range c.nodes {
		if n.cmd != nil && n.cmd.Process != nil && !n.ended {
			syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL)
			running = true
		}
	}
	for late := time.After(5 * time.Second); running && !c.allEnded("manager", "logger", "proxy", "worker"); {
		select {
		case m := <-c.messages:
			c.take(m)
		case <-late:
			return
		}
	}
}

func (c *cluster) allEnded(roles ...string) bool {
	for _, n := range c.nodes {
		if contains(roles, role(n.name)) && n.cmd != nil && !n.ended {
			return false
		}
	}
	return true
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// ---- How far it is ----

func (c *cluster) links() (n int) {
	for _, v := range c.nodes {
		n += v.everUp
	}
	return n
}

func (c *cluster) answers() (n int) {
	for _, v := range c.nodes {
		n += v.answers
	}
	return n
}

func (c *cluster) captures() (n int) {
	for _, v := range c.nodes {
		if v.captureRead {
			n++
		}
	}
	return n
}

// rows reads on in the loggers' files and counts the rows there.
func (c *cluster) rows() int {
	for _, n := range c.nodes {
		if role(n.name) == "logger" {
			n.counter.update(c.kind, n.dir)
		}
	}
	return c.rowsSeen()
}

func (c *cluster) rowsSeen() (rows int) {
	for _, n := range c.nodes {
		rows += n.counter.rows
	}
	return rows
}

func (c *cluster) progress() []bar {
	return []bar{
		{"node_up raised", c.links(), len(c.nodes) * (len(c.nodes) - 1)},
		{"questions answered", c.answers(), questions * workers},
		{"captures read", c.captures(), workers},
		{"log rows at loggers", c.rowsSeen(), c.wantRows},
	}
}

func (c *cluster) waitingFor() string {
	var missing []string
	for _, b := range c.progress() {
		if b.have < b.want {
			missing = append(missing, fmt.Sprintf("%s: %s of %s", b.name, number(b.have), number(b.want)))
		}
	}
	for _, n := range c.nodes {
		if n.toldToEnd && !n.ended {
			missing = append(missing, n.name+" has not ended")
		}
	}
	return strings.Join(missing, ", ")
}

func exitText(err error) string {
	if err == nil {
		return "exit code 0"
	}
	return err.Error()
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// printErrors shows what nodes said on stderr, for the reader of a failure.
func (c *cluster) printErrors() {
	for _, n := range c.nodes {
		b, _ := os.ReadFile(filepath.Join(n.dir, "stderr"))
		var lines []string
		for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			if l != "" && !strings.Contains(l, "processing ") && !strings.HasSuffix(l, "received termination signal") {
				lines = append(lines, l)
			}
		}
		for _, l := range lines[max(0, len(lines)-5):] {
			fmt.Printf("  %s on stderr: %s\n", n.name, l)
		}
	}
}
