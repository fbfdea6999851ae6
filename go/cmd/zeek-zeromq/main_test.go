// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	zmq "github.com/pebbe/zmq4"
	"github.com/spf13/pflag"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
)

// With this variable, the test binary is the program.
const asProgram = "ZEEK_ZEROMQ_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Unsetenv(asProgram)
		main()
	}
	// Go's goroutine for signals stays, once there was a use for it.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	signal.Stop(hup)
	testkit.Main(m)
}

// output is what a run has written so far.
type output struct {
	mutex sync.Mutex
	b     bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.b.String()
}

// program is a run of the program in this process.
type program struct {
	tb       testing.TB
	out, err output
	cancel   context.CancelFunc
	code     <-chan int
}

func launch(tb testing.TB, args ...string) *program {
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{tb: tb, cancel: cancel}
	code := make(chan int, 1)
	p.code = code
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code <- run(ctx, args, strings.NewReader(""), &p.out, &p.err)
	}()
	tb.Cleanup(func() {
		cancel()
		<-ended
	})
	return p
}

func (p *program) awaitErr(text string) {
	p.tb.Helper()
	testkit.Eventually(p.tb, fmt.Sprintf("%q on stderr", text), func() bool { return strings.Contains(p.err.String(), text) })
}

func (p *program) awaitOut(text string) {
	p.tb.Helper()
	testkit.Eventually(p.tb, fmt.Sprintf("%q on stdout", text), func() bool { return strings.Contains(p.out.String(), text) })
}

// exits waits for the end and checks the exit code.
func (p *program) exits(code int) {
	p.tb.Helper()
	if got := testkit.Result(p.tb, "the end", p.code); got != code {
		p.tb.Errorf("exit code %d, want %d\n%s%s", got, code, p.out.String(), p.err.String())
	}
}

// place is a pair of endpoints for a broker.
type place struct{ xpub, xsub string }

func newPlace(tb testing.TB) place {
	return place{testkit.FreeEndpoint(tb), testkit.FreeEndpoint(tb)}
}

func (p place) listen() []string {
	return []string{"--listen-xpub-endpoint", p.xpub, "--listen-xsub-endpoint", p.xsub, "--linger-ms", "50"}
}

func (p place) connect(command string, args ...string) []string {
	return append([]string{command, "--connect-xsub-endpoint", p.xpub, "--connect-xpub-endpoint", p.xsub}, args...)
}

func startBroker(tb testing.TB, p place, args ...string) *program {
	tb.Helper()
	b := launch(tb, append(append([]string{"broker"}, p.listen()...), args...)...)
	b.awaitErr("the broker is ready")
	return b
}

func TestSubPrintsWhatPubSent(t *testing.T) {
	p := newPlace(t)
	b := startBroker(t, p)
	text := launch(t, p.connect("sub", "--log-level", "info", "demo.", "demo.more")...)
	js := launch(t, p.connect("sub", "--log-level", "info", "--format", "json", "--event", "Demo::*", "--count", "1", "")...)
	text.awaitErr("subscribed")
	js.awaitErr("subscribed")

	launch(t, p.connect("pub", "demo.x", "other")...).exits(exitOK)
	args := []string{"7", "-7", "string:a b\x1b", "192.0.2.1", "53/udp", "[T, -, 1.5]", `{1 -> "x"}`, "Notice::LOG", "2s", "{10.0.0.0/8}"}
	launch(t, p.connect("pub", append([]string{"demo.x", "Demo::e", "--"}, args...)...)...).exits(exitOK)

	text.awaitOut(`demo.x Demo::e(7, -7, "a b\x1b", 192.0.2.1, 53/udp, [T, -, 1.5], {1 -> "x"}, Notice::LOG, 2s, {10.0.0.0/8})` + "\n")
	if n := strings.Count(text.out.String(), "\n"); n != 2 {
		t.Errorf("%d lines for 2 events:\n%s", n, text.out.String())
	}
	js.exits(exitOK)
	var l struct {
		Topic, Event string
		Args         []any
		Time         time.Time
	}
	if err := json.Unmarshal([]byte(js.out.String()), &l); err != nil {
		t.Fatalf("%v: %s", err, js.out.String())
	}
	want := `[7 -7 a b` + "\x1b" + ` 192.0.2.1 53/udp [true <nil> 1.5] [[1 x]] Notice::LOG 2 [10.0.0.0/8]]`
	if l.Topic != "demo.x" || l.Event != "Demo::e" || fmt.Sprint(l.Args) != want || time.Since(l.Time) > time.Minute {
		t.Errorf("%+v", l)
	}
	text.cancel()
	text.exits(exitOK)
	b.cancel()
	b.exits(exitOK)
}

func TestSubOfTooFewEventsFails(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	s := launch(t, p.connect("sub", "--count", "2", "--timeout", "100ms", "x")...)
	s.exits(exitFailed)
	s.awaitErr("0 events of 2 came within 100ms")
}

func TestPubToNobodySaysSo(t *testing.T) {
	p := newPlace(t)
	startBroker(t, p)
	s := launch(t, p.connect("pub", "x", "e")...)
	s.exits(exitOK)
	s.awaitErr("nobody has subscribed")
}

// What sub prints, pub reads.
func TestTextOfValuesRoundTrips(t *testing.T) {
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	for _, v := range []event.Value{
		nil, true, false, uint64(0), uint64(1<<64 - 1), int64(0), int64(-1 << 63), int64(1<<63 - 1),
		0.0, 1.0, -2.5, 1e300, 5e-5, "", "a\"b\\c\x00\xff\n é", "T", addr("192.0.2.1"), addr("2001:db8::1"), addr("::"),
		prefix("10.0.0.0/8"), prefix("2001:db8::/32"), event.Port{Number: 53, Proto: event.UDP}, event.Port{Number: 8, Proto: event.ICMP}, event.Port{},
		time.Unix(1767366245, 123456789).UTC(), time.Unix(0, 0).UTC(), 90 * time.Second, -time.Nanosecond, time.Duration(0),
		event.Enum("Conn::LOG"), event.Enum("tcp"), event.Enum("T"), event.Enum("a::b"), event.Enum("NaN"), event.Enum("<unknown enum>"), event.Enum("a)b"), event.Enum("\x1b[2J"), event.Enum(`"`), event.Enum(""),
		event.List{}, event.List{uint64(1), nil, event.List{"x"}}, event.Set{}, event.Set{uint64(1), uint64(2)},
		event.Table{}, event.Table{{Key: event.List{"a", uint64(1)}, Value: event.Set{addr("::1")}}, {Key: "b", Value: event.Table{}}},
	} {
		text := string(appendText(nil, v))
		got, err := parseArg(text)
		if err != nil || event.Compare(got, v) != 0 || fmt.Sprintf("%T", got) != fmt.Sprintf("%T", v) {
			t.Errorf("%T %v: %s: read as %T %v, %v", v, v, text, got, got, err)
		}
	}
}

func TestArguments(t *testing.T) {
	for text, want := range map[string]event.Value{
		"string:7": "7", "string:": "", "count:7": uint64(7), "int:7": int64(7), "double:7": 7.0, "interval:1.5": 1500 * time.Millisecond,
		"interval:2msec": 2 * time.Millisecond, "interval:-5m": -5 * time.Minute, "500msec": 500 * time.Millisecond, "1min": time.Minute, "time:1.5": time.Unix(1, 5e8).UTC(),
		"enum:T": event.Enum("T"), "addr:::1": netip.MustParseAddr("::1"), "subnet:10.1.2.3/8": netip.MustParsePrefix("10.0.0.0/8"),
		"port:80/tcp": event.Port{Number: 80, Proto: event.TCP}, "bool:T": true, " [ 1 , 2 ] ": event.List{uint64(1), uint64(2)},
		"Conn::LOG": event.Enum("Conn::LOG"),
	} {
		if got, err := parseArg(text); err != nil || event.Compare(got, want) != 0 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "[", "[1", "[1 2]", "[1,]x", "{1 -> 2, 3}", "{1 -> }", `"a`, "1 2", "18446744073709551616", "-9223372036854775809",
		"count:-1", "1.2.3.4.5", "a b", "fe80::1%eth0", "{->", "enum(x", "port:1", "0x10", strings.Repeat("[", 100), "a-b"} {
		if v, err := parseArg(bad); err == nil {
			t.Errorf("%q: read as %T %v", bad, v, v)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseArg(f *testing.F) {
	f.Add(`[1, {"a" -> T}, 1.5.2.3, enum(x)]`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseArg(text)
		if err != nil {
			return
		}
		again := string(appendText(nil, v))
		if w, err := parseArg(again); err != nil || string(appendText(nil, w)) != again {
			t.Errorf("%q is %q is %v, %v", text, again, w, err)
		}
	})
}

// Bad input gives one line and the exit code for it, at once.
func TestBadInput(t *testing.T) {
	free := newPlace(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	keys := filepath.Join(t.TempDir(), "keys")
	os.WriteFile(keys, []byte("short\n"), 0o600)
	public, secret := testkit.Keypair(t)
	_ = public
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "--help"},
		{"nonsense", exitUsage, "nonsense"},
		{"broker extra", exitUsage, "extra"},
		{"broker --nonsense", exitUsage, "--nonsense"},
		{"broker --linger-ms -5", exitUsage, "linger_ms"},
		{"broker --ipv6=perhaps", exitUsage, "T or F"},
		{"broker --listen-xpub-endpoint tcp://127.0.0.1:99999", exitUsage, "65535"},
		{"broker --listen-xpub-endpoint nonsense", exitFailed, `listen_xpub_endpoint "nonsense"`},
		{"broker --listen-xpub-endpoint tcp://" + taken.Addr().String(), exitFailed, "Address already in use"},
		{"broker --http-listen " + taken.Addr().String(), exitFailed, "--http-listen"},
		{"broker --log-level loud", exitUsage, "loud"},
		{"broker --curve-server-secretkey " + secret, exitUsage, "client keys"},
		{"broker --curve-server-secretkey short", exitUsage, "curve_server_secretkey"},
		{"broker --curve-server-secretkey-file /nonexistent", exitUsage, "/nonexistent"},
		{"broker --allowed-keys-file " + keys, exitUsage, keys + ":1: a key is 40 characters"},
		{"broker -t --allowed-keys-file /nonexistent", exitUsage, "/nonexistent"},
		{"keygen --format xml", exitUsage, "xml"},
		{"keygen --output /nonexistent/keys", exitFailed, "/nonexistent/keys"},
		{"sub", exitUsage, "topics"},
		{"sub --format xml x", exitUsage, "xml"},
		{"sub --event [ x", exitUsage, "--event"},
		{"sub zeek.cluster.nodeid.x", exitUsage, "zeek.cluster.nodeid.x"},
		{"sub --curve-client-publickey " + public + " x", exitUsage, "three keys"},
		{"sub --broker h --connect-xsub-endpoint tcp://127.0.0.1:1 x", exitUsage, "--broker"},
		{"sub --connect-timeout 100ms --connect-xsub-endpoint " + free.xpub + " --connect-xpub-endpoint " + free.xsub + " x", exitFailed, "nobody listens"},
		{"pub x", exitUsage, "event"},
		{"pub x e [", exitUsage, "argument 1"},
		{"pub x e {1,1}", exitUsage, "duplicate"},
		{"pub --connect-timeout 100ms --connect-xsub-endpoint " + free.xpub + " --connect-xpub-endpoint " + free.xsub + " x e", exitFailed, "nobody listens"},
	} {
		p := launch(t, strings.Fields(c.args)...)
		p.exits(c.code)
		text := p.err.String()
		if !strings.Contains(text, c.want) || strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "zeek-zeromq") {
			t.Errorf("%s: %q, want one line with %q", c.args, text, c.want)
		}
		if strings.Contains(text, secret) {
			t.Errorf("%s: shows a secret: %s", c.args, text)
		}
	}
}

func TestKeygen(t *testing.T) {
	for format, want := range map[string]string{
		"text": "curve_server_publickey ", "zeek": `redef Cluster::Backend::ZeroMQ::curve_server_publickey = "`,
		"env": "ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_PUBLICKEY='", "json": `"curve_server_publickey": "`,
	} {
		p := launch(t, "keygen", "--format", format)
		p.exits(exitOK)
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("%s: %s", format, p.out.String())
		}
	}
	file := filepath.Join(t.TempDir(), "keys")
	launch(t, "keygen", "--format", "json", "-o", file).exits(exitOK)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	k := loadKeys(t, file)
	for public, secret := range map[string]string{k.ServerPublic: k.ServerSecret, k.ClientPublic: k.ClientSecret} {
		if got, err := zmq.AuthCurvePublic(secret); err != nil || got != public {
			t.Errorf("%q is no pair with its secret: %v", public, err)
		}
	}
	launch(t, "keygen", "-o", file).exits(exitFailed) // is there already
	p := launch(t, "keygen", "--pair")
	p.exits(exitOK)
	if strings.Contains(p.out.String(), "server") || strings.Count(p.out.String(), "\n") != 2 {
		t.Errorf("--pair: %s", p.out.String())
	}
}

func loadKeys(tb testing.TB, file string) keys {
	tb.Helper()
	var k keys
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func get(tb testing.TB, url string) (int, string) {
	tb.Helper()
	client := &http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(body)
}

func TestBrokerMetricsAndHealth(t *testing.T) {
	p := newPlace(t)
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
	b := startBroker(t, p, "--http-listen", address)
	launch(t, p.connect("pub", "x", "e")...).exits(exitOK)
	s := launch(t, p.connect("sub", "--log-level", "info", "-n", "1", "x")...)
	s.awaitErr("subscribed")
	launch(t, p.connect("pub", "x", "e")...).exits(exitOK)
	s.exits(exitOK)

	if code, body := get(t, "http://"+address+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("health: %d %s", code, body)
	}
	code, body := get(t, "http://"+address+"/metrics")
	if code != 200 || !strings.Contains(body, "\nzeek_cluster_zeromq_proxy_frontend_messages_received_total 1\n") ||
		!strings.Contains(body, "\nzeek_cluster_zeromq_proxy_backend_messages_sent_total 1\n") {
		t.Errorf("metrics: %d\n%s", code, body)
	}
	for _, line := range strings.Split(strings.TrimSpace(body), "\n") {
		if f := strings.Fields(line); len(f) < 2 || f[0] == "#" && len(f) < 4 {
			t.Errorf("metrics: %q", line)
		}
	}
	b.cancel()
	b.exits(exitOK)
}

// The program as a service: ready, watchdog, reload and stop, over signals.
func TestBrokerAsAService(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	states := make(chan string, 100)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			select {
			case states <- string(buf[:n]):
			default:
			}
		}
	}()
	await := func(want string) {
		t.Helper()
		for {
			if s := testkit.Result(t, want, states); strings.Contains(s, want) {
				return
			}
		}
	}

	serverPublic, serverSecret := testkit.Keypair(t)
	one, oneSecret := testkit.Keypair(t)
	two, twoSecret := testkit.Keypair(t)
	secretFile, allowed := filepath.Join(dir, "secret"), filepath.Join(dir, "allowed")
	os.WriteFile(secretFile, []byte(serverSecret+"\n"), 0o600)
	os.WriteFile(allowed, []byte("# nodes\n"+one+"  # one\n"), 0o600)

	p := newPlace(t)
	cmd := exec.Command(os.Args[0], append(append([]string{"broker"}, p.listen()...), "--curve-server-secretkey-file", secretFile, "--allowed-keys-file", allowed, "--log-format", "json")...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"), "WATCHDOG_USEC=100000", "WATCHDOG_PID=")
	var log output
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := testkit.Go(cmd.Wait)
	defer cmd.Process.Kill()
	await("READY=1")
	await("WATCHDOG=1")

	publish := func(public, secret string) *program {
		return launch(t, p.connect("pub", "--connect-timeout", "600ms", "--curve-server-publickey", serverPublic,
			"--curve-client-publickey", public, "--curve-client-secretkey", secret, "x", "e")...)
	}
	publish(one, oneSecret).exits(exitOK)
	refused := publish(two, twoSecret)
	refused.exits(exitFailed)
	refused.awaitErr("key is not allowed")

	os.WriteFile(allowed, []byte(two+"\n"), 0o600)
	cmd.Process.Signal(syscall.SIGHUP)
	await("RELOADING=1")
	await("READY=1")
	publish(two, twoSecret).exits(exitOK)
	publish(one, oneSecret).exits(exitFailed)

	// A file with an error changes nothing.
	os.WriteFile(allowed, []byte("nonsense\n"), 0o600)
	cmd.Process.Signal(syscall.SIGHUP)
	await("RELOADING=1")
	await("READY=1")
	publish(two, twoSecret).exits(exitOK)

	cmd.Process.Signal(syscall.SIGTERM)
	await("STOPPING=1")
	if err := testkit.Result(t, "the end", ended); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
	for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
		if strings.Contains(line, serverSecret) {
			t.Errorf("shows the secret: %s", line)
		}
	}
}

// Every command says what it is for, and gives examples.
func TestHelp(t *testing.T) {
	for _, c := range rootCommand().Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if c.Short == "" || len(c.Long) < 200 || c.Example == "" {
			t.Errorf("%s: its help is short", c.Name())
		}
		for _, line := range strings.Split(c.Long, "\n") {
			if len(line) > 115 {
				t.Errorf("%s: a line of %d characters: %s", c.Name(), len(line), line)
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		p := launch(t, "completion", shell)
		p.exits(exitOK)
		if !strings.Contains(p.out.String(), "zeek-zeromq") {
			t.Errorf("%s: %s", shell, p.out.String())
		}
	}
	// Values where they are known, and file names only where there are files.
	for args, want := range map[string]string{
		"sub --format ":                        "text\njson\n:4",
		"broker --ipv6=":                       "T\nF\n:4",
		"broker --log-level ":                  "debug\ninfo\nwarn\nerror\n:4",
		"sub ":                                 ":4",
		"check --connect-xsub-endpoint ":       ":4",
		"check --curve-client-secretkey-f":     "--curve-client-secretkey-file\tlikewise, read from this `file`\n:4",
		"broker --allowed-keys-file ":          ":0",
		"check --curve-client-secretkey-file ": ":0",
	} {
		p := launch(t, append([]string{"__complete"}, strings.Split(args, " ")...)...)
		p.exits(exitOK)
		if got := strings.TrimSpace(p.out.String()); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
}

// The manual page has all commands and options, and nothing that its formatter
// complains of.
func TestManual(t *testing.T) {
	p := launch(t, "man")
	p.exits(exitOK)
	page := strings.ReplaceAll(p.out.String(), `\-`, "-")
	for _, c := range rootCommand().Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		if !strings.Contains(page, `.SH "`+strings.ToUpper(c.Name())+`"`) {
			t.Errorf("no %s", c.Name())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, "--"+f.Name+`\fR`) {
				t.Errorf("no %s --%s", c.Name(), f.Name)
			}
		})
	}
	for _, line := range strings.Split(p.out.String(), "\n") {
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !regexp.MustCompile(`^\.(TH|SH|SS|TP|PP|B|BR|I|nf|fi|sp)\b`).MatchString(line) {
			t.Errorf("would be a request: %s", line)
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("SKIPPED: no groff to format the page")
	}
	cmd := exec.Command(groff, "-man", "-Tutf8", "-ww", "-z")
	cmd.Stdin = strings.NewReader(p.out.String())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}
