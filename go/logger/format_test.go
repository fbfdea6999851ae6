// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math"
	"math/rand"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/zeekzmq/zeek-zeromq/go/internal/testkit"
	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

// format returns a batch as the text of a log.
func format(tb testing.TB, f Format, payload []byte) string {
	tb.Helper()
	r, err := logbatch.NewReader(payload)
	if err != nil {
		tb.Fatal(err)
	}
	var rows textRows = tsv{}
	if f == JSON {
		rows = newJSON(r.Header().Fields)
	}
	out := rows.header(nil, r.Header().Path, r.Header().Fields, "OPEN")
	var elements []logbatch.Value
	for r.Next() {
		out = rows.row(out, r.Row(), &elements)
	}
	return string(rows.footer(out, "CLOSE"))
}

var stamps = regexp.MustCompile(`(?m)^#(open|close)\t.*$`)

// withoutStamps blanks the times of #open and #close.
func withoutStamps(s string) string { return stamps.ReplaceAllString(s, "#$1\t*") }

func TestWhatZeekWrites(t *testing.T) {
	payload := vectors.Load(t, "bin-logs.json")[0].Payload
	for f, name := range map[Format]string{TSV: "vector.tsv.log", JSON: "vector.json.log"} {
		want := withoutStamps(string(vectors.File(t, name)))
		if got := withoutStamps(format(t, f, payload)); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", f, got, want)
		}
	}
}

// What the strings, doubles and addresses of the comparison with a real Zeek are: cases, and random ones.
func comparisonValues() (texts []string, doubles []float64, addrs []netip.Addr) {
	texts = []string{
		"", "-", "(empty)", "--", "-x", "(empty)x", "#", "#x", "plain", "a,b", "a\tb", "a\\b", "a\nb", "\\", ",", "\t", `"q"`, "/",
		"\b\f\n\r\t\v", "\x00", "\x1f\x7f", "é", "日本", "😀", "é\x80", "é\n日", "é\\\xff日", "é,\xff,é", "\xc2\x80", "\u009f", "\u00a0",
		"\ue000", "\uf8ff", "\uf900", "\ufff0", "\ufffd", "\ufffe", "\uffff", "\U0001fffe", "\U0010ffff", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80",
		"\xe2\x82", "x\xe2\x82", "\xf8\x88\x80\x80\x80", "\xfe", "a\xc3", "\xc3(", "é\x00", "tab\té\xff", "\xe0\x80\xa1", "\xf0\x90\x8c\xbc", "a b", " ", "é\tplain\xfe",
	}
	rnd := rand.New(rand.NewSource(1))
	pieces := []string{"a", "\\", "\t", ",", "é", "\xff", "\n", "日", "\x00", "-", `"`, "\ue001"}
	for range 150 {
		s := ""
		for range 1 + rnd.Intn(6) {
			s += pieces[rnd.Intn(len(pieces))]
		}
		texts = append(texts, s)
	}
	doubles = []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 0.5, 1.5, 2.5, 1e-7, 5e-7, 4.9999999e-7, 1e-9, 9e-10, 1e-10, 1e15, 1e16, 1e21, 1e22, 1e23, 1.5e300, -1e-300,
		123456789.987654321, 0.0000005, 0.0000015, 0.9999995, 0.99999949999, 1e-5, 1e-6, 1e-7, 4503599627370497.5, 9007199254740993, 1700000000.25,
		1362692526.869344, math.MaxFloat64, 2.2250738585072014e-308, 1 / 3.0, -2.0000000001, 3.9999999999, 1e9, 2147483648, 4294967296.5,
		math.Inf(1), math.Inf(-1), math.NaN(),
	}
	for range 1500 {
		doubles = append(doubles, math.Float64frombits(rnd.Uint64()&^(1<<52-1)+rnd.Uint64()>>12), 1.7e9+float64(rnd.Intn(1e9))/1e6, rnd.NormFloat64())
	}
	for i, d := range doubles {
		if d != d {
			doubles[i] = math.NaN()
		}
	}
	for _, s := range []string{
		"::", "::1", "::2", "::1.2.3.4", "::ffff:1.2.3.4", "::ffff:0:1.2.3.4", "::1:0:0", "1::", "1:0:0:2:0:0:0:3", "1:0:0:2:3:0:0:4", "2001:db8::1",
		"fe80::1:0:0:1", "::fffe:1.2.3.4", "0:0:0:0:1::", "1:2:3:4:5:6:7:8", "1:0:2:3:4:5:6:7", "192.0.2.1", "0.0.0.0", "::ffff:1:0:0", "::0:1:2:3",
	} {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return
}

// literal is a string in Zeek's script language.
func literal(s string) string {
	out := `"`
	for i := 0; i < len(s); i++ {
		out += fmt.Sprintf(`\x%02x`, s[i])
	}
	return out + `"`
}

// The formats against a real Zeek's writer, with the same values.
func TestFormatsAgreeWithZeek(t *testing.T) {
	zeek := testkit.ZeekProgram(t)
	texts, doubles, addrs := comparisonValues()

	var script strings.Builder
	script.WriteString(`
module Compare;
export { redef enum Log::ID += { S, D, A };
type SI: record { s: string &log; v: vector of string &log; };
type DI: record { d: double &log; i: interval &log; t: time &log; };
type AI: record { a: addr &log; n: subnet &log; }; }
event zeek_init() {
Log::create_stream(S, [$columns=SI, $path="s"]); Log::create_stream(D, [$columns=DI, $path="d"]); Log::create_stream(A, [$columns=AI, $path="a"]);
}
event zeek_init() &priority=-5 {
local s: string; local a: addr;
`)
	builder := func(fields ...logbatch.Field) *logbatch.Builder {
		b, err := logbatch.NewBuilder(logbatch.Header{Fields: fields})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	bs := builder(logbatch.Field{Name: "s", Type: logbatch.String}, logbatch.Field{Name: "v", Type: logbatch.Vector, Subtype: logbatch.String})
	for _, s := range texts {
		fmt.Fprintf(&script, "s = %s; Log::write(S, SI($s=s, $v=vector(s, \"x\")));\n", literal(s))
		bs.Text(s)
		bs.Vector(2)
		bs.Text(s)
		bs.Text("x")
	}
	ba := builder(logbatch.Field{Name: "a", Type: logbatch.Addr}, logbatch.Field{Name: "n", Type: logbatch.Subnet})
	for _, a := range addrs {
		bits := a.BitLen()
		host := "[" + a.StringExpanded() + "]"
		if a.Is4() || a.Is4In6() {
			a = a.Unmap()
			bits, host = 32, a.String()
		}
		fmt.Fprintf(&script, "a = %s; Log::write(A, AI($a=a, $n=a/%d));\n", host, bits)
		ba.Addr(a)
		ba.Subnet(netip.PrefixFrom(a, bits))
	}
	bd := builder(logbatch.Field{Name: "d", Type: logbatch.Double}, logbatch.Field{Name: "i", Type: logbatch.Interval}, logbatch.Field{Name: "t", Type: logbatch.Time})
	for _, d := range doubles {
		e := strconv.FormatFloat(math.Abs(d), 'e', -1, 64)
		switch {
		case d != d:
			e = "|(0.0/1.0)|*(1e308*10.0)" // as NaN as it gets
		case math.IsInf(d, 0):
			e = "1e308*10.0"
		case math.Abs(d) < 2.3e-308:
			e = "0.0"
			d = math.Copysign(0, d)
		}
		if d != d {
			continue // the sign of a computed NaN is the machine's
		}
		if math.Abs(d) > 1e247 && !math.IsInf(d, 0) {
			continue // Zeek 9.0 prints what lies in memory for such times and intervals: its buffer has 256 bytes
		}
		if math.Signbit(d) {
			e = "-(" + e + ")"
		}
		fmt.Fprintf(&script, "Log::write(D, DI($d=%s, $i=double_to_interval(%s), $t=double_to_time(%s)));\n", e, e, e)
		bd.Double(d)
		bd.Seconds(d)
		bd.Seconds(d)
	}
	script.WriteString("}\n")

	for _, f := range []Format{TSV, JSON} {
		dir := t.TempDir()
		file := filepath.Join(dir, "t.zeek")
		if err := os.WriteFile(file, []byte(script.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		use := "F"
		if f == JSON {
			use = "T"
		}
		cmd := exec.Command(zeek, "-b", "base/frameworks/logging", file, "LogAscii::use_json="+use)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("zeek: %v\n%.2000s", err, out)
		}
		for path, b := range map[string]*logbatch.Builder{"s": bs, "d": bd, "a": ba} {
			payload, err := b.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(dir, path+".log"))
			if err != nil {
				t.Fatal(err)
			}
			rows := func(s string) []string {
				var out []string
				for _, line := range strings.Split(s, "\n") {
					if !strings.HasPrefix(line, "#") || strings.HasPrefix(line, "#fields") || strings.HasPrefix(line, "#types") {
						out = append(out, line)
					}
				}
				return out
			}
			g, w := rows(format(t, f, payload)), rows(string(want))
			if len(g) != len(w) {
				t.Errorf("%s %s: %d lines, Zeek has %d", f, path, len(g), len(w))
			}
			bad := 0
			for i := range min(len(g), len(w)) {
				if g[i] != w[i] {
					if bad++; bad < 10 {
						t.Errorf("%s %s, line %d:\n got %q\nZeek %q", f, path, i, g[i], w[i])
					}
				}
			}
			if bad > 0 {
				t.Errorf("%s %s: %d of %d lines differ", f, path, bad, len(w))
			}
		}
	}
}

func TestFixedIsExact(t *testing.T) {
	_, doubles, _ := comparisonValues()
	for _, d := range doubles {
		if d != d || math.IsInf(d, 0) {
			continue
		}
		if got, want := string(appendFixed(nil, d)), strconv.FormatFloat(d, 'f', 6, 64); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// Whatever the digits, they must be read back as the same double.
func TestJSONDoublesAreReadBack(t *testing.T) {
	rnd := rand.New(rand.NewSource(2))
	for range 200000 {
		d := math.Float64frombits(rnd.Uint64())
		if d != d || math.IsInf(d, 0) {
			continue
		}
		s := string(appendJSONDouble(nil, d))
		if back, err := strconv.ParseFloat(s, 64); err != nil || back != d {
			t.Fatalf("%v became %s", d, s)
		}
	}
}

func TestJSONIsJSON(t *testing.T) {
	texts, _, _ := comparisonValues()
	for _, s := range texts {
		line := appendJSONText(nil, []byte(s))
		if !stdjson.Valid(line) {
			t.Errorf("%q became %s", s, line)
		}
	}
	if got := string(newJSON([]logbatch.Field{{Name: "a\"\\\n\x01é"}}).keys[0]); !bytes.Equal([]byte(got), []byte(`"a\"\\\n\u0001é":`)) {
		t.Errorf("key %s", got)
	}
}
