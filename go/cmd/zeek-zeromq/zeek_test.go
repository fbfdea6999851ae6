// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
)

// backends are Zeek's own one, and this project's as far as it is built.
func backends(t *testing.T, test func(t *testing.T, plugin string)) {
	for name, plugin := range map[string]string{"built-in": "", "plugin": testkit.Plugin()} {
		t.Run(name, func(t *testing.T) {
			if name == "plugin" && plugin == "" {
				t.Skip("SKIPPED: the plugin is not built")
			}
			test(t, plugin)
		})
	}
}

// Every type that there is, in an event that Zeek sends back.
const everyType = `
type E: enum { FIRST, SECOND };
type R: record { a: addr; s: string &optional; v: vector of count; };
global ping: event(n: count, i: int, d: double, b: bool, s: string, r: R, t: table[count] of string, st: set[subnet],
                   k: set[addr, port], e: transport_proto, m: E, iv: interval, ts: time, p: port, net: subnet, re: pattern, any_t: table[string, count] of bool);
event ping(n: count, i: int, d: double, b: bool, s: string, r: R, t: table[count] of string, st: set[subnet],
           k: set[addr, port], e: transport_proto, m: E, iv: interval, ts: time, p: port, net: subnet, re: pattern, any_t: table[string, count] of bool)
	{
	say(fmt("ping %s %s %s %s %s %s %s %s", n, i, d, b, s, r, e, m));
	say(fmt("more %s %s %s %s %s %s %s", iv, ts, p, net, re == "foo", 10.0.0.0/8 in st, [192.0.2.1, 80/tcp] in k));
	Cluster::publish("demo.reply", ping, n + 1, i, d, b, s, r, t, st, k, e, m, iv, ts, p, net, re, any_t);
	}
`

var everyArgument = []string{"1", "int:-2", "2.5", "T", "string:text", `[2001:db8::1, -, [1, 2]]`, `{1 -> "x"}`, "{10.0.0.0/8, 2001:db8::/32}",
	"{[192.0.2.1, 80/tcp]}", "udp", "SECOND", "1.5s", "2026-01-02T15:04:05.5Z", "53/udp", "192.0.2.0/24", "pattern:foo", `{["a", 1] -> T}`}

// The tools on a cluster of real Zeek processes, whose manager runs the broker.
// None of them is seen by the nodes as anything but a subscription.
func TestToolsOnAZeekCluster(t *testing.T) {
	backends(t, func(t *testing.T, plugin string) {
		p := newPlace(t)
		metrics := map[string]int{"manager": testkit.FreePort(t), "worker-1": testkit.FreePort(t)}
		start := func(name, script string) *testkit.Zeek {
			return testkit.StartZeek(t, plugin, name, p.xpub, p.xsub, fmt.Sprintf(`
@load base/frameworks/telemetry
@load base/frameworks/logging
redef Telemetry::metrics_port = %d/tcp;
redef enum Log::ID += { DEMO };
type Row: record { n: count &log; };
global work: event(n: count);
event Cluster::node_up(name: string, id: string) { say(fmt("up %%s %%s", name, id)); }
event Cluster::node_down(name: string, id: string) { say(fmt("down %%s %%s", name, id)); }
event Cluster::Backend::ZeroMQ::hello(name: string, id: string) { say(fmt("hello %%s", name)); }
event Cluster::Backend::ZeroMQ::subscription(topic: string) { say(fmt("subscription <%%s>", topic)); }
event zeek_init() { Log::create_stream(DEMO, [$columns=Row, $path="demo"]); }
event zeek_init() &priority=-10 { say("started"); }
`, metrics[name])+script)
		}
		manager := start("manager", everyType+`event work(n: count) { }`)
		worker := start("worker-1", `
event tick(n: count)
	{
	Cluster::publish(Cluster::manager_topic, work, n);
	Log::write(DEMO, Row($n=n));
	schedule 20msec { tick(n + 1) };
	}
event zeek_init() { schedule 1msec { tick(0) }; }
`)
		manager.Await(t, "up worker-1 ")
		worker.Await(t, "up manager ")

		check := launch(t, p.connect("check")...)
		check.exits(exitOK)

		sub := launch(t, p.connect("sub", "--log-level", "info", "--count", "1", "demo.reply")...)
		sub.awaitErr("subscribed")
		launch(t, p.connect("pub", append([]string{"zeek.cluster.manager", "ping"}, everyArgument...)...)...).exits(exitOK)
		manager.Await(t, "ping 1 -2 2.5 T text [a=2001:db8::1, s=<uninitialized>, v=[1, 2]] udp SECOND")
		manager.Await(t, "more 1.0 sec 500.0 msecs 1767366245.5 53/udp 192.0.2.0/24 T T T")
		sub.exits(exitOK)
		want := `demo.reply ping(2, -2, 2.5, T, "text", [2001:db8::1, -, [1, 2]], {1 -> "x"}, {10.0.0.0/8, 2001:db8::/32}, ` +
			`{[192.0.2.1, 80/tcp]}, udp, SECOND, 1.5s, 2026-01-02T15:04:05.5Z, 53/udp, 192.0.2.0/24, ` +
			`["^?(foo)$?", "^?(.|\\n)*(foo)"], {["a", 1] -> T})`
		if !strings.Contains(sub.out.String(), want) {
			t.Errorf("got  %s\nwant %s", sub.out.String(), want)
		}
		all := launch(t, p.connect("sub", "--format", "json", "--event", "work", "--count", "20", "")...)
		all.exits(exitOK)

		// Zeek says what does not fit.
		launch(t, p.connect("pub", "zeek.cluster.manager", "work", "string:no count")...).exits(exitOK)
		manager.Await(t, "Unserialize error for event 'work'")

		top := launch(t, p.connect("top", "--once", "--json", "--interval", "1s", "--metrics", fmt.Sprintf("127.0.0.1:%d/services.json", metrics["manager"]),
			"--metrics", fmt.Sprintf("127.0.0.1:%d", metrics["manager"]), "--metrics", fmt.Sprintf("127.0.0.1:%d", metrics["worker-1"]))...)
		top.exits(exitOK)
		v := parseView(t, top.out.String())
		if len(v.Nodes) != 2 || v.Nodes[0].Name != "manager" || v.Nodes[1].Name != "worker-1" || v.Nodes[0].Role != "manager" || v.Nodes[1].Role != "worker" {
			t.Errorf("nodes: %+v", v.Nodes)
		}
		for _, n := range v.Nodes {
			if n.UpFrom != "metrics" || time.Since(n.Up) > 5*time.Minute || n.Kind != "node" || n.Drops == nil || *n.Drops != 0 {
				t.Errorf("%+v", n)
			}
		}
		if len(v.Nodes) == 2 && (v.Nodes[1].EventsPerSec < 5 || *v.Nodes[1].RowsPerSec < 5) {
			t.Errorf("%+v", v.Nodes[1])
		}
		work := 0
		for _, tp := range v.Topics {
			if tp.Topic == "zeek.cluster.manager" && tp.Event == "work" && tp.EventsPerSec > 5 && tp.EventsPerSec < 60 && tp.BytesPerSec > 500 {
				work++
			}
		}
		if work != 1 {
			t.Errorf("topics: %+v", v.Topics)
		}
		rows := 0.0
		for _, l := range v.Logs {
			if l.Path == "demo" {
				rows = l.RowsPerSec
			}
		}
		if rows < 5 || rows > 60 {
			t.Errorf("%v rows a second: %+v, %+v", rows, v.Logs, v.Metrics)
		}
		if v.who("zeek.cluster.node.worker-1.") != "worker-1" || v.who("zeek.cluster.nodeid."+v.Nodes[1].ID+".") != "worker-1" {
			t.Errorf("subscriptions: %+v", v.Subscriptions)
		}

		worker.Stop()
		manager.Await(t, "down worker-1")
		manager.Stop()
		for name, z := range map[string]*testkit.Zeek{"manager": manager, "worker-1": worker} {
			out := z.Output()
			if got := len(regexp.MustCompile(`(?m)^hello `).FindAllString(out, -1)); got != 1 {
				t.Errorf("%s: %d hellos", name, got)
			}
			for _, s := range regexp.MustCompile(`(?m)^subscription <(.*)>$`).FindAllStringSubmatch(out, -1) {
				if strings.HasPrefix(s[1], nodeIDPrefix+"zeromq__") {
					t.Errorf("%s saw a tool as a node: %s", name, s[1])
				}
			}
			for _, bad := range []string{"Expired", "goodbye", "never came up", "up zeek", "did not say hello", "andshake"} {
				if strings.Contains(out, bad) {
					t.Errorf("%s says %q:\n%s", name, bad, out)
				}
			}
		}
	})
}

// The broker as a process is killed and started again: the cluster is whole
// within 2 seconds, and no node has to be restarted.
func TestClusterHealsWhenItsBrokerIsKilled(t *testing.T) {
	backends(t, func(t *testing.T, plugin string) {
		p := newPlace(t)
		broker := func() *exec.Cmd {
			cmd := exec.Command(os.Args[0], append([]string{"broker"}, p.listen()...)...)
			cmd.Env = append(os.Environ(), asProgram+"=1")
			var log output
			cmd.Stderr = &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				cmd.Process.Kill()
				cmd.Wait()
			})
			testkit.Eventually(t, "the broker", func() bool { return strings.Contains(log.String(), "the broker is ready") })
			return cmd
		}
		first := broker()
		const common = `
redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;
global ping: event(n: count);
global pong: event(n: count);
event Cluster::node_up(name: string, id: string) { say(fmt("up %s", name)); }
`
		manager := testkit.StartZeek(t, plugin, "manager", p.xpub, p.xsub, common+`
event pong(n: count) { say(fmt("pong %d", n)); }
event tick(n: count) { Cluster::publish(Cluster::worker_topic, ping, n); schedule 20msec { tick(n + 1) }; }
event zeek_init() { schedule 1msec { tick(0) }; }
`)
		worker := testkit.StartZeek(t, plugin, "worker-1", p.xpub, p.xsub, common+`
event ping(n: count) { Cluster::publish(Cluster::manager_topic, pong, n); }
`)
		manager.Await(t, "pong ")
		worker.Await(t, "up manager")

		first.Process.Kill()
		first.Wait()
		pongs := func() int { return strings.Count(manager.Output(), "pong ") }
		last := -1
		testkit.Eventually(t, "the cluster to be apart", func() bool {
			before := last
			time.Sleep(200 * time.Millisecond)
			last = pongs()
			return last == before
		})
		broker()
		back := time.Now()
		testkit.Eventually(t, "the cluster to be whole", func() bool { return pongs() > last })
		healed := time.Since(back)
		t.Logf("healed %v after the broker was back", healed.Round(time.Millisecond))
		if healed > 2*time.Second {
			t.Errorf("healed only %v after the broker was back", healed)
		}
		if !manager.Running() || !worker.Running() {
			t.Error("a node has ended")
		}
	})
}

// A Zeek node whose key is not allowed stays out; once its key is in the file and
// the broker has read that again, one with the same key is let in, and who was in
// stays.
func TestAllowedKeysOfZeekNodes(t *testing.T) {
	backends(t, func(t *testing.T, plugin string) {
		dir := t.TempDir()
		serverPublic, serverSecret := testkit.Keypair(t)
		one, oneSecret := testkit.Keypair(t)
		two, twoSecret := testkit.Keypair(t)
		secretFile, allowed := filepath.Join(dir, "secret"), filepath.Join(dir, "allowed")
		os.WriteFile(secretFile, []byte(serverSecret), 0o600)
		os.WriteFile(allowed, []byte(one+"\n"), 0o600)
		p := newPlace(t)
		cmd := exec.Command(os.Args[0], append(append([]string{"broker"}, p.listen()...), "--curve-server-secretkey-file", secretFile, "--allowed-keys-file", allowed)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		var log output
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := testkit.Go(cmd.Wait)
		t.Cleanup(func() {
			cmd.Process.Signal(syscall.SIGTERM)
			testkit.Result(t, "the end of the broker", ended)
		})
		testkit.Eventually(t, "the broker", func() bool { return strings.Contains(log.String(), "the broker is ready") })

		start := func(name, public, secret string) *testkit.Zeek {
			return testkit.StartZeek(t, plugin, name, p.xpub, p.xsub, fmt.Sprintf(`
redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;
redef Cluster::Backend::ZeroMQ::curve_server_publickey = "%s";
redef Cluster::Backend::ZeroMQ::curve_server_secretkey = "%s";
redef Cluster::Backend::ZeroMQ::curve_client_publickey = "%s";
redef Cluster::Backend::ZeroMQ::curve_client_secretkey = "%s";
event Cluster::node_up(name: string, id: string) { say(fmt("up %%s", name)); }
event Cluster::node_down(name: string, id: string) { say(fmt("down %%s", name)); }
event zeek_init() &priority=-10 { say("started"); }
`, serverPublic, serverSecret, public, secret))
		}
		manager := start("manager", one, oneSecret)
		manager.Await(t, "started")
		stranger := start("worker-1", two, twoSecret)
		stranger.Await(t, "started")
		testkit.Eventually(t, "the stranger to be refused", func() bool { return !stranger.Running() || strings.Contains(stranger.Output(), "Handshake") })
		stranger.Stop()
		if strings.Contains(manager.Output(), "up worker-1") {
			t.Error("a node whose key is not allowed was let in")
		}

		os.WriteFile(allowed, []byte(one+"\n"+two+"\n"), 0o600)
		cmd.Process.Signal(syscall.SIGHUP)
		testkit.Eventually(t, "the keys to be read again", func() bool { return strings.Contains(log.String(), "allowed_keys=2") })
		worker := start("worker-1", two, twoSecret)
		manager.Await(t, "up worker-1")
		worker.Await(t, "up manager")
		if !manager.Running() || strings.Contains(manager.Output(), "down") {
			t.Errorf("the manager was disturbed: %s", manager.Output())
		}
	})
}

// What keygen makes encrypts a cluster whose manager runs the broker.
func TestKeysOfKeygenInZeek(t *testing.T) {
	backends(t, func(t *testing.T, plugin string) {
		file := filepath.Join(t.TempDir(), "keys")
		launch(t, "keygen", "--format", "json", "-o", file).exits(exitOK)
		k := loadKeys(t, file)
		var script strings.Builder
		if err := keyFormats["zeek"](&script, &k); err != nil {
			t.Fatal(err)
		}
		p := newPlace(t)
		z := testkit.StartZeek(t, plugin, "manager", p.xpub, p.xsub, script.String()+`
global ping: event(n: count);
event ping(n: count) { say(fmt("ping %d", n)); }
event zeek_init() &priority=-10 { say("started"); }
`)
		z.Await(t, "started")
		launch(t, p.connect("check")...).exits(exitMechanism)
		launch(t, p.connect("pub", "--connect-timeout", "500ms", "zeek.cluster.manager", "ping", "1")...).exits(exitFailed)
		t.Setenv("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_PUBLICKEY", k.ServerPublic)
		t.Setenv("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_PUBLICKEY", k.ClientPublic)
		t.Setenv("ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_SECRETKEY", k.ClientSecret)
		launch(t, p.connect("check")...).exits(exitOK)
		launch(t, p.connect("pub", "zeek.cluster.manager", "ping", "2")...).exits(exitOK)
		z.Await(t, "ping 2")
		top := launch(t, p.connect("top", "--once", "--json", "--interval", "200ms", "--metrics", "none")...)
		top.exits(exitOK)
		if v := parseView(t, top.out.String()); len(v.Nodes) == 0 || v.Nodes[0].Name != "manager" {
			t.Errorf("%s", top.out.String())
		}
		if strings.Contains(z.Output(), "ping 1") {
			t.Error("an event came without keys")
		}
	})
}
