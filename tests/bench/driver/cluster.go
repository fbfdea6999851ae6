// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The sides of a measure in Zeek: the same scripts with Zeek's own backend, and
// with ours.
const (
	builtin = "built-in"
	plugin  = "plugin"
	bare    = "no cluster"
)

// zeekEnv is the environment of a Zeek process. Only the plugin's side knows of
// the plugin.
func zeekEnv(side string, more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LC_ALL=C", "ZEEK_DISABLE_ZEEKYGEN=1",
		"ZEEK_ALLOW_INIT_ERRORS=1", "ZEEKPATH=" + *flagScripts + ":" + *flagPath}
	if side == plugin {
		env = append(env, "ZEEK_PLUGIN_PATH="+*flagBuild, "ZEEK_PLUGIN_ACTIVATE=Zeek::ZeroMQ_Go")
	}
	return append(env, more...)
}

// cluster is a manager that runs the broker, and other nodes.
type cluster struct {
	b       *bench
	manager *proc
	others  []*proc
	all     []*proc
}

// zeekCluster starts a cluster and returns when every node sees all others. The
// variables are the script's, names without BENCH_.
func (b *bench) zeekCluster(side, script string, full bool, others []string, vars map[string]any) (c *cluster, err error) {
	b.runs++
	dir := filepath.Join(b.work, fmt.Sprintf("%03d-%s-%s", b.runs, script, side))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}

	loggers := 0
	for _, name := range others {
		if strings.HasPrefix(name, "logger") {
			loggers++
		}
	}
	ports, err := freePorts(2 + loggers)
	if err != nil {
		return nil, err
	}
	layout := "redef Cluster::manager_is_logger = F;\nredef Cluster::nodes = {\n\t[\"manager\"] = [$node_type=Cluster::MANAGER, $ip=127.0.0.1],\n"
	next := 2
	for _, name := range others {
		role, _, _ := strings.Cut(name, "-")
		port := ""
		if role == "logger" {
			port = fmt.Sprintf(", $p=%d/tcp", ports[next])
			next++
		}
		layout += fmt.Sprintf("\t[\"%s\"] = [$node_type=Cluster::%s, $ip=127.0.0.1%s, $manager=\"manager\"],\n", name,
			strings.ToUpper(role), port)
	}
	layout += "};\n"
	if err := os.WriteFile(filepath.Join(dir, "cluster-layout.zeek"), []byte(layout), 0o666); err != nil {
		return nil, err
	}

	env := zeekEnv(side, fmt.Sprintf("BENCH_XPUB=tcp://127.0.0.1:%d", ports[0]), fmt.Sprintf("BENCH_XSUB=tcp://127.0.0.1:%d", ports[1]))
	for k, v := range vars {
		env = append(env, fmt.Sprintf("BENCH_%s=%v", k, v))
	}
	for i, e := range env {
		if strings.HasPrefix(e, "ZEEKPATH=") {
			env[i] = "ZEEKPATH=" + dir + ":" + strings.TrimPrefix(e, "ZEEKPATH=")
		}
	}

	c = &cluster{b: b}
	defer func() {
		if err != nil {
			c.end()
			c = nil
		}
	}()
	args := []string{filepath.Join(*flagScripts, script+".zeek")}
	if !full {
		args = append([]string{"-b"}, args...)
	}
	for _, name := range append([]string{"manager"}, others...) {
		p, err := b.start(name, filepath.Join(dir, name), append(env, "CLUSTER_NODE="+name), b.zeek, args...)
		if err != nil {
			return c, err
		}
		c.all = append(c.all, p)
		if name == "manager" {
			c.manager = p
		} else {
			c.others = append(c.others, p)
		}
	}
	for _, p := range c.all {
		if _, err := p.await(b, "up"); err != nil {
			return c, err
		}
	}
	return c, c.check(side)
}

// check sees to it that a side is what it claims to be.
func (c *cluster) check(side string) error {
	for _, p := range c.all {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.cmd.Process.Pid))
		if err != nil {
			return err
		}
		if has := strings.Contains(string(maps), "/libzeekzmq.so"); has != (side == plugin) {
			return fmt.Errorf("%s runs the wrong backend for side %q", p.name, side)
		}
	}
	return nil
}

// end ends all nodes, the manager with the broker last.
func (c *cluster) end() {
	if c != nil {
		terminate(c.others...)
		terminate(c.manager)
	}
}

// names makes role-1 to role-n.
func names(role string, n int) (list []string) {
	for i := 1; i <= n; i++ {
		list = append(list, fmt.Sprintf("%s-%d", role, i))
	}
	return list
}

// settle waits for d, or less when the bench is interrupted.
func (b *bench) settle(d time.Duration) {
	select {
	case <-time.After(d):
	case <-b.ctx.Done():
	}
}
