// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Where the cluster listens.
type ports struct {
	xpub, xsub int
	loggers    [loggers]int
}

// A kind is what the nodes of the cluster are: Zeek processes, or C programs
// that use the engine without Zeek.
type kind struct {
	title     string
	note      string // on the line after it
	aloneName string // the process that is no cluster, in a sentence
	ports     ports

	// What workers tell the proxy about: the values of a column in a log.
	hostsLog, hostsColumn, hostsName string

	// ownLogs are those in which processes write about themselves: they differ
	// with the number of processes.
	ownLogs map[string]bool

	work string
	env  []string
	node func(k *kind, name string) *exec.Cmd
	solo func(k *kind, capture string) *exec.Cmd
}

func newKind(work string) (*kind, error) {
	p, err := freePorts()
	if err != nil {
		return nil, err
	}

	k := &kind{work: work, ports: p, ownLogs: map[string]bool{}}
	for _, v := range os.Environ() {
		// The user's settings of Zeek are not the demo's.
		if !strings.HasPrefix(v, "ZEEK") && !strings.HasPrefix(v, "CLUSTER_") {
			k.env = append(k.env, v)
		}
	}
	k.env = append(k.env, fmt.Sprintf("DEMO_XPUB_ENDPOINT=tcp://127.0.0.1:%d", p.xpub),
		fmt.Sprintf("DEMO_XSUB_ENDPOINT=tcp://127.0.0.1:%d", p.xsub))

	if *flagZeek != "" {
		k.withZeek()
	} else {
		k.withoutZeek()
	}
	return k, nil
}

func (k *kind) withZeek() {
	k.title = fmt.Sprintf("A Zeek cluster on this machine: %s", *flagVersion)
	k.aloneName = "One stand-alone Zeek"
	k.hostsLog, k.hostsColumn, k.hostsName = "http", "host", "HTTP hosts"
	for _, log := range strings.Fields("broker capture_loss cluster loaded_scripts packet_filter print prof reporter stats telemetry") {
		k.ownLogs[log] = true
	}
	k.env = append(k.env, "ZEEK_PLUGIN_PATH="+*flagBuild, "ZEEKPATH="+*flagScripts+":"+*flagPath)
	for i, p := range k.ports.loggers {
		k.env = append(k.env, fmt.Sprintf("DEMO_LOGGER_%d_PORT=%d/tcp", i+1, p))
	}

	k.node = func(k *kind, name string) *exec.Cmd {
		var args []string
		if role(name) == "worker" {
			args = []string{"-r", filepath.Join(k.work, name+".pcap")}
		}
		cmd := exec.Command(*flagZeek, append(args, "demo")...)
		cmd.Env = append(k.env, "CLUSTER_NODE="+name)
		return cmd
	}
	k.solo = func(k *kind, capture string) *exec.Cmd {
		cmd := exec.Command(*flagZeek, "-r", capture)
		cmd.Env = k.env
		return cmd
	}
}

func (k *kind) withoutZeek() {
	k.title = fmt.Sprintf("No Zeek here (%s): the same cluster of C programs on the same engine and broker", *flagWhy)
	k.note = "Their way to the engine is the plugin's, the C ABI of libzeekzmq.so (" + *flagVersion + ")."
	k.aloneName = "One program alone"
	k.hostsLog, k.hostsColumn, k.hostsName = "packets", "src", "senders"
	k.env = append(k.env, "DEMO_LIBRARY="+filepath.Join(*flagBuild, "lib", "libzeekzmq.so"))
	for i, p := range k.ports.loggers {
		k.env = append(k.env, fmt.Sprintf("DEMO_LOGGER_%d_ENDPOINT=tcp://127.0.0.1:%d", i+1, p))
	}

	k.node = func(k *kind, name string) *exec.Cmd {
		args := []string{name}
		if role(name) == "worker" {
			args = append(args, filepath.Join(k.work, name+".pcap"))
		}
		cmd := exec.Command(*flagNode, args...)
		cmd.Env = k.env
		return cmd
	}
	k.solo = func(k *kind, capture string) *exec.Cmd {
		return exec.Command(*flagNode, "alone", capture)
	}
}

// alone runs one process without a cluster on a capture and returns its logs.
func (k *kind) alone(ctx context.Context, capture string) (logs, error) {
	dir := filepath.Join(k.work, "alone")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	cmd := k.solo(k, capture)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-ctx.Done():
		cmd.Process.Kill()
		<-done
		return nil, errInterrupted
	case err := <-done:
		if err != nil {
			return nil, fmt.Errorf("%s failed: %v: %s", lower(k.aloneName), err, lastLine(out.String()))
		}
	}
	l, err := readLogs(k, dir)
	if err == nil && l.rows() == 0 {
		err = fmt.Errorf("%s wrote no logs", k.aloneName)
	}
	return l, err
}

// freePorts looks below the ports that the system gives to outgoing connections:
// one of those may be in use a moment later.
func freePorts() (p ports, err error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()

	var free []int
	for i := 0; i < 1000 && len(free) < 2+loggers; i++ {
		n := 16000 + rand.Intn(16000)
		l, e := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n))
		if err = e; e == nil {
			held = append(held, l)
			free = append(free, n)
		}
	}
	if len(free) < 2+loggers {
		return p, fmt.Errorf("no free ports on 127.0.0.1: %v", err)
	}
	p.xpub, p.xsub = free[0], free[1]
	copy(p.loggers[:], free[2:])
	return p, nil
}
