// SPDX-License-Identifier: BSD-3-Clause

package testkit

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Zeek is a running Zeek process.
type Zeek struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	output lockedBuffer
}

type lockedBuffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}

// zeekConfig is the path of Zeek's zeek-config: ZEEK_ROOT's, or that on PATH.
// Without Zeek the test is skipped.
func zeekConfig(tb testing.TB) string {
	tb.Helper()
	if root := os.Getenv("ZEEK_ROOT"); root != "" {
		return filepath.Join(root, "bin", "zeek-config")
	}
	path, err := exec.LookPath("zeek-config")
	if err != nil {
		tb.Skip("SKIPPED: no Zeek: set ZEEK_ROOT, or put zeek-config on the PATH")
	}
	return path
}

// ZeekProgram is the path of Zeek. Without Zeek the test is skipped.
func ZeekProgram(tb testing.TB) string {
	tb.Helper()
	config := zeekConfig(tb)
	prefix, err := exec.Command(config, "--prefix").Output()
	if err != nil {
		tb.Fatalf("%s: %v", config, err)
	}
	return filepath.Join(strings.TrimSpace(string(prefix)), "bin", "zeek")
}

// Plugin is the folder with the plugin built, or empty.
func Plugin() string {
	build := os.Getenv("ZEEKZMQ_BUILD")
	if build == "" {
		_, file, _, _ := runtime.Caller(0)
		build = filepath.Join(filepath.Dir(file), "..", "..", "..", "build")
	}
	if _, err := os.Stat(filepath.Join(build, "__zeek_plugin__")); err != nil {
		return ""
	}
	return build
}

// StartZeek runs a script as the node called name of a cluster with a manager
// and workers, with the plugin of a folder, or with Zeek's own backend if that is
// empty. The broker is where xpub and xsub say; the script decides who runs it,
// and prints by say(), for [Zeek.Await].
func StartZeek(tb testing.TB, plugin, name, xpub, xsub, script string) *Zeek {
	tb.Helper()
	config := zeekConfig(tb)
	zeekpath, err := exec.Command(config, "--zeekpath").Output()
	if err != nil {
		tb.Fatalf("%s: %v", config, err)
	}
	dir := tb.TempDir()
	for file, text := range map[string]string{
		"cluster-layout.zeek": `redef Cluster::nodes += {
	["manager"] = Cluster::Node($node_type=Cluster::MANAGER, $ip=127.0.0.1, $p=0/unknown),
	["worker-1"] = Cluster::Node($node_type=Cluster::WORKER, $ip=127.0.0.1, $p=0/unknown),
	["worker-2"] = Cluster::Node($node_type=Cluster::WORKER, $ip=127.0.0.1, $p=0/unknown),
};
`,
		"test.zeek": fmt.Sprintf(`@load policy/frameworks/cluster/backend/zeromq
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = "%[1]s";
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "%[1]s";
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = "%[2]s";
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "%[2]s";
redef exit_only_after_terminate = T;
function say(text: string) { print text; flush_all(); }
`, xpub, xsub) + script,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}

	z := &Zeek{cmd: exec.Command(ZeekProgram(tb), "-b", "test.zeek"), ended: make(chan struct{})}
	z.cmd.Dir = dir
	z.cmd.Stdout, z.cmd.Stderr = &z.output, &z.output
	z.cmd.Env = append(os.Environ(), "CLUSTER_NODE="+name, "ZEEKPATH=.:"+strings.TrimSpace(string(zeekpath)),
		"ZEEK_PLUGIN_PATH="+plugin, "ZEEK_PLUGIN_ACTIVATE=", "ZEEK_ALLOW_INIT_ERRORS=1", "ZEEK_DISABLE_ZEEKYGEN=1", "LC_ALL=C", "TZ=UTC")
	if plugin != "" {
		z.cmd.Env = append(z.cmd.Env, "ZEEK_PLUGIN_ACTIVATE=Zeek::ZeroMQ_Go")
	}
	if err := z.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		z.cmd.Wait()
		close(z.ended)
	}()
	tb.Cleanup(z.Stop)
	return z
}

// Await waits until the process has printed a text.
func (z *Zeek) Await(tb testing.TB, text string) {
	tb.Helper()
	if !within(3*patience, func() bool {
		select {
		case <-z.ended:
			return true
		default:
			return strings.Contains(z.output.text(), text)
		}
	}) || !strings.Contains(z.output.text(), text) {
		tb.Fatalf("Zeek has not printed %q:\n%s", text, z.output.text())
	}
}

// Running says whether the process has not ended.
func (z *Zeek) Running() bool {
	select {
	case <-z.ended:
		return false
	default:
		return true
	}
}

// Output is what the process has printed so far.
func (z *Zeek) Output() string { return z.output.text() }

// Dir is the folder that the process runs in.
func (z *Zeek) Dir() string { return z.cmd.Dir }

// Stop ends the process.
func (z *Zeek) Stop() {
	z.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-z.ended:
	case <-time.After(patience):
		z.cmd.Process.Kill()
		<-z.ended
	}
}
