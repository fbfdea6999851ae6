// SPDX-License-Identifier: BSD-3-Clause

package event_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/zeekzmq/zeek-zeromq/go/event"
	"github.com/zeekzmq/zeek-zeromq/go/internal/vectors"
)

// equal compares events; netip's types are compared as a whole and NaN equals itself.
var equal = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmpopts.EquateNaNs(),
}

// vectorArgs are the arguments of the recorded events.
var vectorArgs = map[string][]event.Value{
	"t_bool T":                             {true},
	"t_bool F":                             {false},
	"t_int -2":                             {int64(-2)},
	"t_int 9223372036854775807":            {int64(math.MaxInt64)},
	"t_count 0":                            {uint64(0)},
	"t_count 300":                          {uint64(300)},
	"t_count 18446744073709551615":         {uint64(math.MaxUint64)},
	"t_double 1.5":                         {1.5},
	"t_double -0.0":                        {math.Copysign(0, -1)},
	"t_double 1e308*10 (+Inf)":             {math.Inf(1)},
	"t_double -1e308*10 (-Inf)":            {math.Inf(-1)},
	"t_double 0.1":                         {0.1},
	"t_double 2.5e-308 (smallest normals)": {2.5e-308},
	"t_string hi":                          {"hi"},
	"t_string (empty)":                     {""},
	"t_string bytes 00 ff 0a 22 5c":        {"\x00\xff\x0a\x22\x5c"},
	"t_string 200 x A":                     {strings.Repeat("A", 199) + "\x00"},
	"t_addr 10.1.2.3":                      {netip.MustParseAddr("10.1.2.3")},
	"t_addr 2001:db8::1":                   {netip.MustParseAddr("2001:db8::1")},
	"t_subnet 10.0.0.0/8":                  {netip.MustParsePrefix("10.0.0.0/8")},
	"t_subnet 0.0.0.0/0":                   {netip.MustParsePrefix("0.0.0.0/0")},
	"t_subnet 2001:db8::/32":               {netip.MustParsePrefix("2001:db8::/32")},
	"t_port 443/tcp":                       {event.Port{Number: 443, Proto: event.TCP}},
	"t_port 53/udp":                        {event.Port{Number: 53, Proto: event.UDP}},
	"t_port 8/icmp":                        {event.Port{Number: 8, Proto: event.ICMP}},
	"t_port 0/unknown":                     {event.Port{}},
	"t_time 1700000000.25":                 {time.Date(2023, 11, 14, 22, 13, 20, 249999872, time.UTC)},
	"t_time 0":                             {time.Unix(0, 0).UTC()},
	"t_interval -1usec":                    {-time.Microsecond},
	"t_interval 500msec":                   {500 * time.Millisecond},
	"t_enum Vector::GREEN":                 {event.Enum("Vector::GREEN")},
	"t_set {2,1}":                          {event.Set{uint64(1), uint64(2)}},
	"t_set {}":                             {event.Set{}},
	"t_set2 {[10.1.2.3, 53/udp]}":          {event.Set{event.List{netip.MustParseAddr("10.1.2.3"), event.Port{Number: 53, Proto: event.UDP}}}},
	"t_table {b:2,a:1}":                    {event.Table{{"a", uint64(1)}, {"b", uint64(2)}}},
	"t_table2 {[1,k]: [n=5,s=unset]}":      {event.Table{{event.List{uint64(1), "k"}, event.List{uint64(5), nil}}}},
	"t_vector [a,b]":                       {event.List{"a", "b"}},
	"t_record [b=T,i=unset,inner=[n=1,s=z],tags={x}]": {event.List{true, nil, event.List{uint64(1), "z"}, event.Set{"x"}}},
	"t_pattern /foo/":      {event.List{"^?(foo)$?", `^?(.|\n)*(foo)`}},
	"t_pattern /foo|b.r/i": {event.List{"(?i:^?(foo|b.r)$?)", `(?i:^?(.|\n)*(foo|b.r))`}},
	"t_any count 3":        {uint64(3)},
	"t_any Rec":            {event.List{false, nil, event.List{uint64(2), nil}, event.Set{"x"}}},
	"t_none":               {},
	"t_many 7 worker-1 192.0.2.1 53/udp 500msec": {uint64(7), "worker-1", netip.MustParseAddr("192.0.2.1"), event.Port{Number: 53, Proto: event.UDP}, 500 * time.Millisecond},
}

// However a name is spelled, it is the one that Zeek's decoder looks up.
func TestValidateNameWithEscapes(t *testing.T) {
	e := event.Event{Name: "Module::name"}
	p, err := event.Encode(event.BrokerJSONV1, &e)
	if err != nil {
		t.Fatal(err)
	}
	spelled := strings.Replace(string(p), "Module::name", `Modul\u0065\u003a:name`, 1)
	name, err := event.ValidateName("broker-json-v1", []byte(spelled))
	if err != nil || string(name) != e.Name {
		t.Errorf("name %q, %v in %s", name, err, spelled)
	}
}

func TestDecodeWhatZeekSends(t *testing.T) {
	for _, file := range eventFiles {
		for _, m := range vectors.Load(t, file) {
			t.Run(file+"/"+m.What, func(t *testing.T) {
				format, err := event.ParseFormat(m.Format)
				if err != nil {
					t.Fatal(err)
				}
				got, err := event.Decode(format, m.Payload)
				if err != nil {
					t.Fatal(err)
				}
				want := &event.Event{Name: "Vector::" + strings.Fields(m.What)[0], Args: wantArgs(t, format, m.What)}
				if file == "bin-timestamp-events.json" {
					ts, ok := got.Time()
					if !ok || ts.Year() < 2026 {
						t.Errorf("network timestamp %v", ts)
					}
					want.Metadata = []event.Metadata{{ID: event.NetworkTimestamp, Value: ts}}
				}
				if diff := cmp.Diff(want, got, equal); diff != "" {
					t.Errorf("decoded event (-want +got):\n%s", diff)
				}
				if name, err := event.ValidateName(m.Format, m.Payload); err != nil || string(name) != want.Name {
					t.Errorf("ValidateName: %q, %v", name, err)
				}
			})
		}
	}
}

// wantArgs returns the arguments of a recorded event, with what JSON loses taken away.
func wantArgs(t *testing.T, format event.Format, what string) []event.Value {
	args, ok := vectorArgs[what]
	if !ok {
		t.Fatalf("no arguments known for %q", what)
	}
	if format == event.BrokerJSONV1 {
		switch {
		case strings.HasPrefix(what, "t_time 1"):
			return []event.Value{args[0].(time.Time).Truncate(time.Millisecond)}
		case strings.HasPrefix(what, "t_double 2.5e-308"):
			return []event.Value{0.0}
		}
	}
	return args
}

func TestEncodeByteForByte(t *testing.T) {
	for _, file := range eventFiles {
		for _, m := range vectors.Load(t, file) {
			t.Run(file+"/"+m.What, func(t *testing.T) {
				format, err := event.ParseFormat(m.Format)
				if err != nil {
					t.Fatal(err)
				}
				e := &event.Event{Name: "Vector::" + strings.Fields(m.What)[0], Args: vectorArgs[m.What]}
				if file == "bin-timestamp-events.json" {
					got, err := event.Decode(format, m.Payload)
					if err != nil {
						t.Fatal(err)
					}
					e.Metadata = got.Metadata
				}
				got, err := event.Encode(format, e)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, m.Payload) {
					t.Errorf("got  %q\nwant %q", got, m.Payload)
				}
			})
		}
	}
}

// encode returns the payload of an event "e" with one argument, without the envelope.
func encode(t *testing.T, format event.Format, arg any) string {
	t.Helper()
	p, err := event.Encode(format, &event.Event{Name: "e", Args: []event.Value{arg}})
	if err != nil {
		t.Fatal(err)
	}
	if format == event.BrokerBinV1 {
		return string(p[len(binEvent(1)):])
	}
	s, ok := strings.CutPrefix(string(p), strings.TrimSuffix(jsonEvent(""), "]}]}]}"))
	if !ok {
		t.Fatalf("envelope of %s", p)
	}
	return strings.TrimSuffix(s, "]}]}]}")
}

func TestEncodeQuirks(t *testing.T) {
	tests := []struct {
		name string
		arg  any
		bin  string
		json string
	}{
		{"NaN", math.NaN(), "\x04\xff\xff\xff\xff\xff\xff\xff\xff", `{"@data-type":"real","data":nan}`},
		{"the smallest real is zero", 5e-324, "\x04\x00\x00\x00\x00\x00\x00\x00\x00", `{"@data-type":"real","data":0.000000}`},
		{"its negative keeps the sign", -5e-324, "\x04\x80\x00\x00\x00\x00\x00\x00\x00", `{"@data-type":"real","data":-0.000000}`},
		{"largest real", math.MaxFloat64, "\x04\x7f\xef\xff\xff\xff\xff\xff\xff", `{"@data-type":"real","data":179769313486231570814527423731704356798070567525844996598917476803157260780028538760589558632766878171540458953514382464234321326889464182768467546703537516986049910576551282076245490090389328944075868508455133942304583236903222948165808559332123348274797826204144723168738177180919299881250404026184124858368.000000}`},
		{"mapped address", netip.MustParseAddr("::ffff:10.0.0.1"), "\x06" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01", `{"@data-type":"address","data":"10.0.0.1"}`},
		{"mapped subnet", netip.MustParsePrefix("::ffff:10.0.0.0/104"), "\x07" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x00\x68", `{"@data-type":"subnet","data":"10.0.0.0/8"}`},
		{"sorted set", event.Set{"b", uint64(2), "a", false}, "\x0c\x04" + "\x01\x00" + count(2) + str("a") + str("b"), `{"@data-type":"set","data":[` + val("boolean", "false") + `,` + val("count", "2") + `,` + val("string", `"a"`) + `,` + val("string", `"b"`) + `]}`},
		{"set of sorted sets", event.Set{event.Set{int64(3), int64(1)}, event.Set{int64(2), int64(1)}}, "\x0c\x02" + "\x0c\x02" + integer(1) + integer(2) + "\x0c\x02" + integer(1) + integer(3), ``},
		{"sorted table", event.Table{{"b", nil}, {"a", true}}, "\x0d\x02" + str("a") + "\x01\x01" + str("b") + "\x00", ``},
		{"sorted ports", event.Set{event.Port{Number: 2}, event.Port{Number: 1, Proto: event.UDP}, event.Port{Number: 1, Proto: event.TCP}}, "\x0c\x03\x08\x00\x01\x01\x08\x00\x01\x02\x08\x00\x02\x00", ``},
		{"sorted subnets", event.Set{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("10.0.0.0/8")}, "", `{"@data-type":"set","data":[` + val("subnet", `"10.0.0.0/8"`) + `,` + val("subnet", `"10.0.0.0/16"`) + `]}`},
		{"escapes", "\v\t/\x7f", str("\v\t/\x7f"), `{"@data-type":"string","data":"\v\t/` + "\x7f" + `"}`},
		{"time before 1970", time.Date(1969, 12, 31, 23, 59, 58, 500e6, time.UTC), "\x09\xff\xff\xff\xff\xa6\x97\xd1\x00", `{"@data-type":"timestamp","data":"1969-12-31T23:59:59.000"}`},
		{"interval in nanoseconds", 1500 * time.Nanosecond, "\x0a\x00\x00\x00\x00\x00\x00\x05\xdc", `{"@data-type":"timespan","data":"1500ns"}`},
		{"interval in seconds", 2 * time.Hour, "", `{"@data-type":"timespan","data":"7200s"}`},
		{"no interval", time.Duration(0), "", `{"@data-type":"timespan","data":"0s"}`},
		{"pattern", event.NewPattern("foo"), "\x0e\x02\x05\x09^?(foo)$?\x05\x0e^?(.|\\n)*(foo)", ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := encode(t, event.BrokerBinV1, tt.arg); tt.bin != "" && got != tt.bin {
				t.Errorf("binary: got %q, want %q", got, tt.bin)
			}
			if got := encode(t, event.BrokerJSONV1, tt.arg); tt.json != "" && got != tt.json {
				t.Errorf("JSON: got %s, want %s", got, tt.json)
			}
		})
	}
}

func TestDecodeQuirks(t *testing.T) {
	real := func(bits string) string { return binEvent(1, "\x04"+bits) }
	tests := []struct {
		name    string
		format  event.Format
		payload string
		want    event.Value
	}{
		{"usual NaN is an infinity", event.BrokerBinV1, real("\x7f\xf8\x00\x00\x00\x00\x00\x00"), math.Inf(1)},
		{"negative usual NaN", event.BrokerBinV1, real("\xff\xf8\x00\x00\x00\x00\x00\x00"), math.Inf(-1)},
		{"exponent zero is an exponent", event.BrokerBinV1, real("\x00\x08\x00\x00\x00\x00\x00\x00"), math.Ldexp(1.5, -1023)},
		{"what Zeek makes of the smallest real", event.BrokerBinV1, real("\xfc\xd0\x00\x00\x00\x00\x00\x00"), -math.Ldexp(1, 974)},
		{"any non-zero bool", event.BrokerBinV1, binEvent(1, "\x01\x07"), true},
		{"JSON with space and data first", event.BrokerJSONV1, jsonEvent("{ \"data\" : [ {\"data\":{} ,\"@data-type\":\"none\"},\n" + jsonOne + "] , \"@data-type\" : \"vector\" }"), event.List{nil, uint64(1)}},
		{"JSON table with value first", event.BrokerJSONV1, jsonEvent(val("table", `[{"value":`+jsonName+`,"key":`+jsonOne+`}]`)), event.Table{{uint64(1), "e"}}},
		{"JSON none without data", event.BrokerJSONV1, jsonEvent(`{"@data-type":"none"}`), nil},
		{"JSON escapes", event.BrokerJSONV1, jsonEvent(val("string", `"\u0041\ud83d\ude00\/\v\"\\\ud800"`)), "A\U0001f600/\v\"\\\ufffd"},
		{"JSON raw bytes", event.BrokerJSONV1, jsonEvent(val("string", "\"\x00\xff\"")), "\x00\xff"},
		{"JSON real as integer", event.BrokerJSONV1, jsonEvent(val("real", "5")), 5.0},
		{"JSON real with exponent", event.BrokerJSONV1, jsonEvent(val("real", "-1.5e3")), -1500.0},
		{"JSON real too large", event.BrokerJSONV1, jsonEvent(val("real", "1e999")), math.Inf(1)},
		{"JSON NaN", event.BrokerJSONV1, jsonEvent(val("real", "-nan")), math.NaN()},
		{"JSON time with zone", event.BrokerJSONV1, jsonEvent(val("timestamp", `"2024-02-29T01:00:00.123456789+01:30"`)), time.Date(2024, 2, 28, 23, 30, 0, 123456789, time.UTC)},
		{"JSON interval in minutes", event.BrokerJSONV1, jsonEvent(val("timespan", `"-3min"`)), -3 * time.Minute},
		{"JSON mapped address", event.BrokerJSONV1, jsonEvent(val("address", `"::ffff:1.2.3.4"`)), netip.MustParseAddr("1.2.3.4")},
		{"wrapper of a WebSocket client", event.BrokerJSONV1, `{"type":"data-message","topic":"t",` + jsonEvent(jsonOne)[1:], uint64(1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := event.Decode(tt.format, []byte(tt.payload))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&event.Event{Name: "e", Args: []event.Value{tt.want}}, e, equal); diff != "" {
				t.Errorf("decoded event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeRejects(t *testing.T) {
	tests := []struct {
		name    string
		format  event.Format
		payload string
		want    error
	}{
		{"what Validate rejects", event.BrokerBinV1, binEvent(1, "\x0f"), event.ErrTag},
		{"unknown format", event.Format(9), binEvent(0), event.ErrUnknownFormat},
		{"equal elements side by side", event.BrokerBinV1, binEvent(1, "\x0c\x02"+count(1)+count(1)), event.ErrDuplicate},
		{"equal elements apart", event.BrokerBinV1, binEvent(1, "\x0c\x03"+count(2)+count(1)+count(2)), event.ErrDuplicate},
		{"zero and minus zero", event.BrokerBinV1, binEvent(1, "\x0c\x02\x04\x00\x00\x00\x00\x00\x00\x00\x00\x04\x80\x00\x00\x00\x00\x00\x00\x00"), event.ErrDuplicate},
		{"equal keys", event.BrokerBinV1, binEvent(1, "\x0d\x02"+count(1)+count(1)+count(1)+count(2)), event.ErrDuplicate},
		{"equal elements in JSON", event.BrokerJSONV1, jsonEvent(val("set", "["+jsonOne+","+jsonOne+"]")), event.ErrDuplicate},
		{"an address that is none", event.BrokerJSONV1, jsonEvent(val("address", `"1.2.3"`)), event.ErrData},
		{"a subnet that is none", event.BrokerJSONV1, jsonEvent(val("subnet", `"1.2.3/8"`)), event.ErrData},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := event.Decode(tt.format, []byte(tt.payload))
			checkError(t, err, tt.want)
		})
	}
}

func TestEncodeRejects(t *testing.T) {
	loop := event.List{nil}
	loop[0] = loop
	setLoop := event.Set{nil}
	setLoop[0] = setLoop
	type node struct{ Next *node }
	ring := &node{}
	ring.Next = ring
	deep := event.List{}
	for i := 0; i < event.MaxDepth; i++ {
		deep = event.List{deep}
	}
	tests := []struct {
		name string
		arg  any
		want error
	}{
		{"a channel", make(chan int), event.ErrType},
		{"a complex number", 1i, event.ErrType},
		{"equal elements", event.Set{"a", "a"}, event.ErrDuplicate},
		{"elements that become equal", event.Set{1, int64(1)}, event.ErrDuplicate},
		{"equal keys", event.Table{{"a", 1}, {"a", 2}}, event.ErrDuplicate},
		{"the zero time", time.Time{}, event.ErrRange},
		{"the year 2262", time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), event.ErrRange},
		{"no address", netip.Addr{}, event.ErrRange},
		{"address with zone", netip.MustParseAddr("fe80::1%eth0"), event.ErrRange},
		{"no subnet", netip.Prefix{}, event.ErrRange},
		{"protocol 4", event.Port{Proto: 4}, event.ErrRange},
		{"too many levels", deep, event.ErrDepth},
		{"a list that holds itself", loop, event.ErrDepth},
		{"a set that holds itself", setLoop, event.ErrDepth},
		{"a pointer that leads to itself", ring, event.ErrDepth},
		{"unsafe opaque", event.List{"ParaglobVal", event.List{}}, event.ErrOpaque},
	}
	for _, tt := range tests {
		for _, format := range []event.Format{event.BrokerBinV1, event.BrokerJSONV1} {
			t.Run(fmt.Sprint(tt.name, "/", format), func(t *testing.T) {
				dst := []byte("before")
				got, err := format.Append(dst, &event.Event{Name: "e", Args: []event.Value{tt.arg}})
				if !errorsIs(err, tt.want) {
					t.Errorf("got error %v, want %v", err, tt.want)
				}
				if string(got) != "before" {
					t.Errorf("buffer is %q after an error", got)
				}
			})
		}
	}
	for _, format := range []event.Format{event.BrokerBinV1, event.BrokerJSONV1} {
		_, err := event.Encode(format, &event.Event{})
		checkError(t, err, event.ErrEnvelope)
	}
	_, err := event.Encode(0, &event.Event{Name: "e"})
	checkError(t, err, event.ErrUnknownFormat)
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	e := &event.Event{Name: "e", Args: []event.Value{"x"}}
	alone, err := event.Encode(event.BrokerBinV1, e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := event.BrokerBinV1.Append([]byte("before"), e)
	if err != nil || string(got) != "before"+string(alone) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEmptyMetadata(t *testing.T) {
	for _, format := range []event.Format{event.BrokerBinV1, event.BrokerJSONV1} {
		for _, meta := range [][]event.Metadata{nil, {}} {
			e := &event.Event{Name: "e", Args: []event.Value{}, Metadata: meta}
			p, err := event.Encode(format, e)
			if err != nil {
				t.Fatal(err)
			}
			got, err := event.Decode(format, p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(e, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", format, diff)
			}
		}
	}
}

func TestNetworkTimestamp(t *testing.T) {
	e := &event.Event{Name: "e", Metadata: []event.Metadata{{ID: 200, Value: "user"}}}
	if _, ok := e.Time(); ok {
		t.Error("event without timestamp has one")
	}
	for _, want := range []time.Time{time.Unix(1, 5).UTC(), time.Unix(2, 6).UTC()} {
		e.SetTime(want)
		if got, ok := e.Time(); !ok || !got.Equal(want) {
			t.Errorf("got %v, %v, want %v", got, ok, want)
		}
	}
	if len(e.Metadata) != 2 {
		t.Errorf("%d pieces of metadata, want 2", len(e.Metadata))
	}
}

// randomValue makes any value that survives a trip in the given format unchanged.
func randomValue(r *rand.Rand, format event.Format, depth int) event.Value {
	kinds := 15
	if depth > 3 {
		kinds = 12
	}
	some := func() []event.Value {
		vs := make([]event.Value, r.Intn(5))
		for i := range vs {
			vs[i] = randomValue(r, format, depth+1)
		}
		return vs
	}
	switch r.Intn(kinds) {
	case 0:
		return nil
	case 1:
		return r.Intn(2) == 0
	case 2:
		return r.Uint64() >> r.Intn(64)
	case 3:
		return int64(r.Uint64()) >> r.Intn(64)
	case 4:
		if format == event.BrokerJSONV1 {
			return float64(r.Intn(1e6)-5e5) / 8
		}
		for {
			f := math.Float64frombits(r.Uint64())
			if f == 0 || math.Abs(f) >= 0x1p-1022 {
				return f
			}
		}
	case 5:
		b := make([]byte, r.Intn(200))
		r.Read(b)
		return string(b)
	case 6:
		var a [16]byte
		r.Read(a[:])
		if r.Intn(2) == 0 {
			copy(a[:], v4Prefix)
		}
		return netip.AddrFrom16(a).Unmap()
	case 7:
		var a [16]byte
		r.Read(a[:])
		if r.Intn(2) == 0 {
			copy(a[:], v4Prefix)
		}
		addr := netip.AddrFrom16(a).Unmap()
		return netip.PrefixFrom(addr, r.Intn(addr.BitLen()+1))
	case 8:
		return event.Port{Number: uint16(r.Uint32()), Proto: event.Protocol(r.Intn(4))}
	case 9:
		d := time.Duration(r.Int63n(int64(250 * 365 * 24 * time.Hour)))
		if format == event.BrokerJSONV1 {
			d = d.Truncate(time.Millisecond)
		} else {
			d -= 40 * 365 * 24 * time.Hour
		}
		return time.Unix(0, int64(d)).UTC()
	case 10:
		return time.Duration(r.Uint64()) >> r.Intn(64)
	case 11:
		return event.Enum(fmt.Sprintf("Mod::VALUE_%d", r.Intn(100)))
	case 12:
		return event.List(some())
	case 13:
		v, err := event.ToValue(event.Set(some()))
		if err != nil {
			return event.Set{}
		}
		return v
	default:
		t := event.Table{}
		for _, k := range some() {
			t = append(t, event.Pair{Key: k, Value: randomValue(r, format, depth+1)})
		}
		v, err := event.ToValue(t)
		if err != nil {
			return event.Table{}
		}
		return v
	}
}

const v4Prefix = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"

func randomEvent(r *rand.Rand, format event.Format) *event.Event {
	e := &event.Event{Name: fmt.Sprintf("Module::event_%d", r.Intn(10)), Args: []event.Value{}}
	for n := r.Intn(6); n > 0; n-- {
		e.Args = append(e.Args, randomValue(r, format, 0))
	}
	for n := r.Intn(3); n > 0; n-- {
		e.Metadata = append(e.Metadata, event.Metadata{ID: uint64(r.Intn(300)), Value: randomValue(r, format, 0)})
	}
	return e
}

func TestEveryEventSurvivesTheTrip(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for _, format := range []event.Format{event.BrokerBinV1, event.BrokerJSONV1} {
		for i := 0; i < 3000; i++ {
			want := randomEvent(r, format)
			p, err := event.Encode(format, want)
			if err != nil {
				t.Fatalf("%v: %+v: %v", format, want, err)
			}
			if err := format.Validate(p); err != nil {
				t.Fatalf("%v: %q: %v", format, p, err)
			}
			got, err := event.Decode(format, p)
			if err != nil {
				t.Fatalf("%v: %q: %v", format, p, err)
			}
			if diff := cmp.Diff(want, got, equal); diff != "" {
				t.Fatalf("%v (-want +got):\n%s", format, diff)
			}
			again, err := event.Encode(format, got)
			if err != nil || !bytes.Equal(p, again) {
				t.Fatalf("%v: second encoding differs: %v\n%q\n%q", format, err, p, again)
			}
		}
	}
}

func TestDecodeSurvivesDamage(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for _, file := range eventFiles {
		for _, m := range vectors.Load(t, file) {
			format, _ := event.ParseFormat(m.Format)
			mutate(m.Payload, r, 50, func(p []byte) { checkDecode(t, format, p) })
		}
	}
}

// checkDecode checks that p decodes if it is valid, up to what only Decode looks at, and that what it decodes to can be
// sent on and comes out the same.
func checkDecode(t *testing.T, format event.Format, p []byte) {
	t.Helper()
	invalid := format.Validate(p)
	e, err := event.Decode(format, p)
	if err != nil {
		checkError(t, err, err)
		if invalid == nil && !errorsIs(err, event.ErrDuplicate) && !errorsIs(err, event.ErrData) {
			t.Errorf("valid payload %q: %v", p, err)
		}
		return
	}
	if invalid != nil {
		t.Fatalf("invalid payload %q decodes: %v", p, invalid)
	}
	q, err := event.Encode(format, e)
	if err != nil {
		// Reals that differ on the wire only may become equal, and JSON can grow past what its length allows.
		if errorsIs(err, event.ErrDuplicate) || errorsIs(err, event.ErrTooLarge) || errorsIs(err, event.ErrRange) {
			return
		}
		t.Fatalf("%q decodes to %+v, which does not encode: %v", p, e, err)
	}
	if _, err := event.Decode(format, q); err != nil && !errorsIs(err, event.ErrDuplicate) {
		t.Fatalf("%q is encoded as %q: %v", p, q, err)
	}
}

func FuzzDecodeBin(f *testing.F) {
	fuzzDecode(f, event.BrokerBinV1, "bin-events.json", "bin-timestamp-events.json")
}

func FuzzDecodeJSON(f *testing.F) {
	fuzzDecode(f, event.BrokerJSONV1, "json-events.json")
}

func fuzzDecode(f *testing.F, format event.Format, files ...string) {
	for _, file := range files {
		for _, m := range vectors.Load(f, file) {
			f.Add(m.Payload)
		}
	}
	r := rand.New(rand.NewSource(4))
	for i := 0; i < 20; i++ {
		p, err := event.Encode(format, randomEvent(r, format))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) { checkDecode(t, format, p) })
}

func BenchmarkDecode(b *testing.B) {
	for _, file := range []string{"bin-events.json", "json-events.json"} {
		for _, m := range vectors.Load(b, file) {
			if !strings.HasPrefix(m.What, "t_many") {
				continue
			}
			format, _ := event.ParseFormat(m.Format)
			b.Run(m.Format, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; i < b.N; i++ {
					if _, err := event.Decode(format, m.Payload); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, format := range []event.Format{event.BrokerBinV1, event.BrokerJSONV1} {
		e := &event.Event{Name: "Vector::t_many", Args: vectorArgs["t_many 7 worker-1 192.0.2.1 53/udp 500msec"]}
		b.Run(format.String(), func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for i := 0; i < b.N; i++ {
				var err error
				if buf, err = format.Append(buf[:0], e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
