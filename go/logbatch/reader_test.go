// SPDX-License-Identifier: BSD-3-Clause

package logbatch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

var equal = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
}

func vectorBatch(tb testing.TB) []byte { return vectors.Load(tb, "bin-logs.json")[0].Payload }

// vectorHeader is the header of the recorded batch.
var vectorHeader = logbatch.Header{
	Stream: "Vector::LOG", Writer: "Log::WRITER_ASCII", Filter: "default", Path: "vector",
	Fields: []logbatch.Field{
		{Name: "ts", Type: logbatch.Time},
		{Name: "b", Type: logbatch.Bool},
		{Name: "i", Type: logbatch.Int},
		{Name: "c", Type: logbatch.Count},
		{Name: "d", Type: logbatch.Double},
		{Name: "iv", Type: logbatch.Interval},
		{Name: "s", Type: logbatch.String},
		{Name: "e", Type: logbatch.Enum},
		{Name: "a4", Type: logbatch.Addr},
		{Name: "a6", Type: logbatch.Addr},
		{Name: "n4", Type: logbatch.Subnet},
		{Name: "n6", Type: logbatch.Subnet},
		{Name: "p", Type: logbatch.Port},
		{Name: "ss", Type: logbatch.Set, Subtype: logbatch.String},
		{Name: "sa", Type: logbatch.Set, Subtype: logbatch.Addr},
		{Name: "vc", Type: logbatch.Vector, Subtype: logbatch.Count},
		{Name: "vs", Type: logbatch.Vector, Subtype: logbatch.String},
		{Name: "unset", Type: logbatch.String, Optional: true},
		{Name: "empty_s", Type: logbatch.String, Optional: true},
		{Name: "empty_set", Type: logbatch.Set, Subtype: logbatch.Count, Optional: true},
		{Name: "weird", Type: logbatch.String, Optional: true},
	},
}

const weird = "tab\there nl\nnul\x00hi\xffutf\xc3\xa9 - (empty)"

// vectorRow returns record i of the recorded batch.
func vectorRow(i int) []any {
	return []any{
		time.Unix(1700000000+int64(i), 250e6).UTC(), i == 1, int64(-5 + i), math.MaxUint64 - uint64(i), 0.1 * float64(i),
		time.Duration(i) * 1500 * time.Millisecond, fmt.Sprintf("row %d", i), "Vector::GREEN",
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"),
		logbatch.PortValue{Number: 53, Proto: logbatch.UDP},
		[]any{"two,comma", "one"}, []any{netip.MustParseAddr("10.0.0.1")},
		[]any{uint64(1), uint64(2), uint64(3)}, []any{"a", "-", ""},
		nil, "", []any{}, weird,
	}
}

func rows(tb testing.TB, payload []byte) (logbatch.Header, [][]any) {
	tb.Helper()
	r, err := logbatch.NewReader(payload)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]any
	for r.Next() {
		row := make([]any, len(r.Row()))
		for i, v := range r.Row() {
			row[i] = v.Go()
		}
		out = append(out, row)
	}
	if len(out) != r.Len() {
		tb.Errorf("%d records, Len says %d", len(out), r.Len())
	}
	return *r.Header(), out
}

func TestReadWhatZeekSends(t *testing.T) {
	header, got := rows(t, vectorBatch(t))
	if diff := cmp.Diff(vectorHeader, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]any{vectorRow(0), vectorRow(1), vectorRow(2)}, got, equal); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// Zeek's own JSON log of the same records must say the same.
func TestRowsAgreeWithZeeksLog(t *testing.T) {
	header, got := rows(t, vectorBatch(t))
	dec := json.NewDecoder(bytes.NewReader(vectors.File(t, "vector.json.log")))
	dec.UseNumber()
	for _, row := range got {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		for i, f := range header.Fields {
			want, there := line[f.Name]
			if there != (row[i] != nil) {
				t.Errorf("field %s: %v in the log, %v in the batch", f.Name, want, row[i])
			}
			if !there || f.Name == "weird" {
				continue
			}
			if got := logText(row[i]); got != fmt.Sprint(want) {
				t.Errorf("field %s: %s, want %v", f.Name, got, want)
			}
		}
	}
}

// logText writes a value as fmt prints what is in Zeek's JSON log.
func logText(v any) string {
	number := func(f float64) string {
		s := fmt.Sprint(f)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	switch v := v.(type) {
	case time.Time:
		return fmt.Sprintf("%d.%s", v.Unix(), strings.TrimRight(fmt.Sprintf("%09d", v.Nanosecond()), "0"))
	case time.Duration:
		return number(v.Seconds())
	case float64:
		return number(v)
	case logbatch.PortValue:
		return fmt.Sprint(v.Number)
	}
	return fmt.Sprint(v)
}

func TestBuildByteForByte(t *testing.T) {
	b, err := logbatch.NewBuilder(vectorHeader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 3; i++ {
		b.Time(time.Unix(1700000000+int64(i), 250e6))
		b.Bool(i == 1)
		b.Int(int64(-5 + i))
		b.Count(math.MaxUint64 - uint64(i))
		b.Double(0.1 * float64(i))
		b.Interval(time.Duration(i) * 1500 * time.Millisecond)
		b.Text(fmt.Sprintf("row %d", i))
		b.Text("Vector::GREEN")
		b.Addr(netip.MustParseAddr("::ffff:192.0.2.1"))
		b.Addr(netip.MustParseAddr("2001:db8::1"))
		b.Subnet(netip.MustParsePrefix("::ffff:10.0.0.0/104"))
		b.Subnet(netip.MustParsePrefix("2001:db8::/32"))
		b.Port(53, logbatch.UDP)
		b.Set(2)
		b.Text("two,comma")
		b.Text("one")
		b.Set(1)
		b.Addr(netip.MustParseAddr("10.0.0.1"))
		b.Vector(3)
		b.Count(1)
		b.Count(2)
		b.Count(3)
		b.Vector(3)
		b.Text("a")
		b.TextBytes([]byte("-"))
		b.Text("")
		b.Unset()
		b.Text("")
		b.Set(0)
		b.TextBytes([]byte(weird))
		if b.Len() != i+1 {
			t.Errorf("%d records after %d", b.Len(), i+1)
		}
	}
	got, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if want := vectorBatch(t); !bytes.Equal(got, want) || b.Size() != len(want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// rebuild makes a batch of the records of another.
func rebuild(tb testing.TB, payload []byte) ([]byte, error) {
	tb.Helper()
	r, err := logbatch.NewReader(payload)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := logbatch.NewBuilder(*r.Header())
	if err != nil {
		return nil, err
	}
	for r.Next() {
		for _, v := range r.Row() {
			b.Value(v)
		}
	}
	return b.Bytes()
}

func TestRebuildByteForByte(t *testing.T) {
	want := vectorBatch(t)
	got, err := rebuild(t, want)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got  %x, %v\nwant %x", got, err, want)
	}
}

func TestTimes(t *testing.T) {
	year := func(y int) float64 { return float64(time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).Unix()) }
	tests := []struct {
		seconds  float64
		time     time.Time
		interval time.Duration
	}{
		{0, time.Unix(0, 0).UTC(), 0},
		{1.5, time.Unix(1, 5e8).UTC(), 1500 * time.Millisecond},
		{-1.5, time.Unix(-2, 5e8).UTC(), -1500 * time.Millisecond},
		{math.NaN(), time.Time{}, 0},
		{math.Inf(1), time.Time{}, math.MaxInt64},
		{math.Inf(-1), time.Time{}, math.MinInt64},
		{year(9999), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		{year(10000), time.Time{}, math.MaxInt64},
		{year(1), time.Time{}, math.MinInt64},
	}
	for _, tt := range tests {
		b, err := logbatch.NewBuilder(logbatch.Header{Fields: []logbatch.Field{{Type: logbatch.Time}, {Type: logbatch.Interval}}})
		if err != nil {
			t.Fatal(err)
		}
		b.Seconds(tt.seconds)
		b.Seconds(tt.seconds)
		p, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r, err := logbatch.NewReader(p)
		if err != nil {
			t.Fatal(err)
		}
		r.Next()
		if got := r.Row()[0].Time(); !got.Equal(tt.time) {
			t.Errorf("%v seconds: time %v, want %v", tt.seconds, got, tt.time)
		}
		if got := r.Row()[1].Interval(); got != tt.interval {
			t.Errorf("%v seconds: interval %v, want %v", tt.seconds, got, tt.interval)
		}
	}
}

func TestValuesOfOtherTypesAreZero(t *testing.T) {
	r, err := logbatch.NewReader(vectorBatch(t))
	if err != nil {
		t.Fatal(err)
	}
	check := func(v logbatch.Value) {
		t.Helper()
		type zero struct {
			bool
			int64
			uint64
			float64
			time.Time
			time.Duration
			string
			uint16
			netip.Addr
			netip.Prefix
			int
			elements int
		}
		n, _ := v.Port()
		got := zero{v.Bool(), v.Int(), v.Count(), v.Float(), v.Time(), v.Interval(), v.Text(), n, v.Addr(), v.Subnet(), v.Len(), len(v.AppendElements(nil))}
		if got != (zero{}) {
			t.Errorf("%v: %+v", v.Type(), got)
		}
	}
	check(logbatch.Value{})
	for r.Next() {
		for i, v := range r.Row() {
			if !v.IsSet() {
				check(v)
			}
			if v.Type() != r.Header().Fields[i].Type {
				t.Errorf("field %d: type %v", i, v.Type())
			}
		}
	}
	for typ := logbatch.Type(0); typ < 23; typ++ {
		if typ.String() == "" {
			t.Errorf("type %d has no name", typ)
		}
	}
	if got := vectorHeader.Fields[13].TypeName() + " " + vectorHeader.Fields[0].TypeName(); got != "set[string] time" {
		t.Errorf("type names %q", got)
	}
}

func TestBuilderRejects(t *testing.T) {
	header := logbatch.Header{Fields: []logbatch.Field{
		{Name: "n", Type: logbatch.Count}, {Name: "v", Type: logbatch.Vector, Subtype: logbatch.Int}, {Name: "a", Type: logbatch.Addr},
	}}
	tests := []struct {
		name string
		add  func(b *logbatch.Builder)
		want error
	}{
		{"another type", func(b *logbatch.Builder) { b.Int(1) }, logbatch.ErrSchema},
		{"another element type", func(b *logbatch.Builder) { b.Count(1); b.Vector(1); b.Count(1) }, logbatch.ErrSchema},
		{"vector in a vector", func(b *logbatch.Builder) { b.Count(1); b.Vector(1); b.Vector(1) }, logbatch.ErrSchema},
		{"negative size", func(b *logbatch.Builder) { b.Count(1); b.Vector(-1) }, logbatch.ErrSchema},
		{"record not complete", func(b *logbatch.Builder) { b.Count(1) }, logbatch.ErrSchema},
		{"vector not complete", func(b *logbatch.Builder) { b.Count(1); b.Vector(2); b.Int(1) }, logbatch.ErrSchema},
		{"no address", func(b *logbatch.Builder) { b.Count(1); b.Vector(0); b.Addr(netip.Addr{}) }, logbatch.ErrRange},
		{"address with zone", func(b *logbatch.Builder) { b.Count(1); b.Vector(0); b.Addr(netip.MustParseAddr("fe80::1%lo")) }, logbatch.ErrRange},
		{"no subnet", func(b *logbatch.Builder) { b.Subnet(netip.Prefix{}) }, logbatch.ErrRange},
		{"protocol 4", func(b *logbatch.Builder) { b.Port(1, 4) }, logbatch.ErrRange},
		{"the first error stays", func(b *logbatch.Builder) { b.Port(1, 4); b.Int(1); b.Count(1); b.Vector(-1) }, logbatch.ErrRange},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := logbatch.NewBuilder(header)
			if err != nil {
				t.Fatal(err)
			}
			tt.add(b)
			if _, err := b.Bytes(); !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
			if err := b.Reset(header); err != nil || b.Err() != nil || b.Len() != 0 {
				t.Errorf("not usable after Reset: %v, %v", err, b.Err())
			}
		})
	}
	for _, f := range []logbatch.Field{{Type: 8}, {Type: -1}, {Type: logbatch.Set}, {Type: logbatch.Vector, Subtype: logbatch.Set}, {Type: logbatch.Int, Subtype: 23}} {
		if _, err := logbatch.NewBuilder(logbatch.Header{Fields: []logbatch.Field{f}}); !errors.Is(err, logbatch.ErrType) {
			t.Errorf("field %+v: got error %v", f, err)
		}
	}
	b, err := logbatch.NewBuilder(logbatch.Header{})
	if err != nil {
		t.Fatal(err)
	}
	b.Unset()
	if !errors.Is(b.Err(), logbatch.ErrSchema) {
		t.Errorf("value without fields: got error %v", b.Err())
	}
}

var scalarTypes = []logbatch.Type{
	logbatch.Bool, logbatch.Int, logbatch.Count, logbatch.Double, logbatch.Time, logbatch.Interval, logbatch.String,
	logbatch.Enum, logbatch.Port, logbatch.Addr, logbatch.Subnet, logbatch.Func, logbatch.File,
}

// addRandom adds a value of type t and returns what a Reader should make of it.
func addRandom(r *rand.Rand, b *logbatch.Builder, t, sub logbatch.Type) any {
	if r.Intn(8) == 0 {
		b.Unset()
		return nil
	}
	addr := func() netip.Addr {
		var a [16]byte
		r.Read(a[:])
		if r.Intn(2) == 0 {
			return netip.AddrFrom4([4]byte(a[:4]))
		}
		return netip.AddrFrom16(a)
	}
	switch t {
	case logbatch.Bool:
		v := r.Intn(2) == 0
		b.Bool(v)
		return v
	case logbatch.Int:
		v := int64(r.Uint64())
		b.Int(v)
		return v
	case logbatch.Count:
		v := r.Uint64()
		b.Count(v)
		return v
	case logbatch.Double:
		v := math.Float64frombits(r.Uint64())
		b.Double(v)
		return v
	case logbatch.Time:
		v := time.Unix(r.Int63n(4e9), 250e6*r.Int63n(4)).UTC()
		b.Time(v)
		return v
	case logbatch.Interval:
		v := time.Duration(r.Int63n(1e9)) * 250 * time.Millisecond
		b.Interval(v)
		return v
	case logbatch.Port:
		v := logbatch.PortValue{Number: uint16(r.Uint32()), Proto: logbatch.Protocol(r.Intn(4))}
		b.Port(v.Number, v.Proto)
		return v
	case logbatch.Addr:
		v := addr()
		b.Addr(v)
		return v
	case logbatch.Subnet:
		a := addr()
		v := netip.PrefixFrom(a, r.Intn(a.BitLen()+1))
		b.Subnet(v)
		return v
	case logbatch.Set, logbatch.Vector:
		out := make([]any, r.Intn(4))
		if t == logbatch.Set {
			b.Set(len(out))
		} else {
			b.Vector(len(out))
		}
		for i := range out {
			out[i] = addRandom(r, b, sub, 0)
		}
		return out
	}
	v := make([]byte, r.Intn(50))
	r.Read(v)
	b.TextBytes(v)
	return string(v)
}

func TestEveryBatchSurvivesTheTrip(t *testing.T) {
	r := rand.New(rand.NewSource(5))
	for n := 0; n < 500; n++ {
		header := logbatch.Header{Stream: "S", Writer: "W", Filter: "F", Path: "P", Fields: make([]logbatch.Field, 1+r.Intn(6))}
		for i := range header.Fields {
			f := logbatch.Field{Name: fmt.Sprint("f", i), Optional: r.Intn(2) == 0}
			switch r.Intn(4) {
			case 0:
				f.Type, f.Subtype = logbatch.Set, scalarTypes[r.Intn(len(scalarTypes))]
			case 1:
				f.Type, f.Subtype = logbatch.Vector, scalarTypes[r.Intn(len(scalarTypes))]
			case 2:
				f.HasSecondary, f.Secondary = true, "second"
				fallthrough
			default:
				f.Type = scalarTypes[r.Intn(len(scalarTypes))]
			}
			header.Fields[i] = f
		}
		b, err := logbatch.NewBuilder(header)
		if err != nil {
			t.Fatal(err)
		}
		var want [][]any
		for k := r.Intn(5); k > 0; k-- {
			var row []any
			for _, f := range header.Fields {
				row = append(row, addRandom(r, b, f.Type, f.Subtype))
			}
			want = append(want, row)
		}
		p, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		gotHeader, got := rows(t, p)
		if diff := cmp.Diff(header, gotHeader); diff != "" {
			t.Fatalf("header (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, got, equal); diff != "" {
			t.Fatalf("records (-want +got):\n%s", diff)
		}
		if again, err := rebuild(t, p); err != nil || !bytes.Equal(p, again) {
			t.Fatalf("rebuilt: %v\n%x\n%x", err, p, again)
		}
	}
}

func TestReadingDoesNotAllocatePerRecord(t *testing.T) {
	p := vectorBatch(t)
	r, err := logbatch.NewReader(p)
	if err != nil {
		t.Fatal(err)
	}
	var elements [8]logbatch.Value
	// It calls the function once to warm up and once to count.
	if n := testing.AllocsPerRun(1, func() {
		if !r.Next() {
			t.Fatal("no record left")
		}
		for _, v := range r.Row() {
			_, _, _, _ = v.Time(), v.Addr(), v.Subnet(), v.Bytes()
			_ = v.AppendElements(elements[:0])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(vectorBatch(f))
	f.Add([]byte(batch(logbatch.Set, value(logbatch.Set, u64(1)+value(logbatch.Int, u64(1))))))
	f.Add([]byte(batch(logbatch.Subnet, value(logbatch.Subnet, "\x60\x04\x00\x00\x00\x00"))))
	f.Fuzz(func(t *testing.T, p []byte) {
		invalid := logbatch.Validate(p)
		r, err := logbatch.NewReader(p)
		if (err == nil) != (invalid == nil) {
			t.Fatalf("Validate: %v, NewReader: %v", invalid, err)
		}
		if err != nil {
			return
		}
		_, want := rows(t, p)
		// What a Builder takes is only what Zeek sends; the rest it must refuse.
		q, err := rebuild(t, p)
		if err != nil {
			if !errors.Is(err, logbatch.ErrSchema) && !errors.Is(err, logbatch.ErrType) {
				t.Fatal(err)
			}
			return
		}
		if err := logbatch.Validate(q); err != nil {
			t.Fatalf("rebuilt batch is invalid: %v", err)
		}
		if _, got := rows(t, q); !cmp.Equal(want, got, equal) {
			t.Fatalf("rebuilt batch of %d records differs:\n%s", r.Len(), cmp.Diff(want, got, equal))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	p := vectorBatch(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(p)))
	for i := 0; i < b.N; i++ {
		r, err := logbatch.NewReader(p)
		if err != nil {
			b.Fatal(err)
		}
		for r.Next() {
		}
	}
}

func BenchmarkBuilder(b *testing.B) {
	r, err := logbatch.NewReader(vectorBatch(b))
	if err != nil {
		b.Fatal(err)
	}
	r.Next()
	row := r.Row()
	bld, err := logbatch.NewBuilder(*r.Header())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if i%1000 == 0 {
			if err := bld.Reset(*r.Header()); err != nil {
				b.Fatal(err)
			}
		}
		for _, v := range row {
			bld.Value(v)
		}
	}
	if bld.Err() != nil {
		b.Fatal(bld.Err())
	}
}
