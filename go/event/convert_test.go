// SPDX-License-Identifier: BSD-3-Clause

package event_test

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zeekzmq/zeek-zeromq/go/event"
)

func errorsIs(err, want error) bool { return errors.Is(err, want) }

type color string

type inner struct {
	N uint64
	S *string
}

type index struct {
	Addr netip.Addr
	Port event.Port
}

type record struct {
	Bool     bool
	Int      int32
	Count    uint16
	Real     float32
	String   string
	Bytes    []byte
	Addr     netip.Addr
	Subnet   netip.Prefix
	Port     event.Port
	Time     time.Time
	Interval time.Duration
	Enum     event.Enum
	Color    color `zeek:"colour,enum"`
	Inner    inner
	Vector   []string
	Pair     [2]int64
	Set      []color            `zeek:",set,enum"`
	SetMap   map[index]struct{} `zeek:"hosts"`
	Table    map[string]inner   `zeek:"table"`
	Pointer  *uint64            // set
	Unset    *netip.Addr        // unset
	Optional string             `zeek:",optional"`
	Any      any                //
	Raw      event.List         //
	Pattern  event.Pattern      //
	Skipped  chan int           `zeek:"-"`
	Times    map[uint64]time.Time
	//lint:ignore U1000 that unexported fields are passed over is the point
	private int
}

func ptr[T any](v T) *T { return &v }

var host = index{netip.MustParseAddr("10.0.0.1"), event.Port{Number: 53, Proto: event.UDP}}

func fullRecord() record {
	return record{
		Bool: true, Int: -5, Count: 7, Real: 0.5, String: "s", Bytes: []byte{0, 0xff},
		Addr: host.Addr, Subnet: netip.MustParsePrefix("2001:db8::/32"), Port: host.Port,
		Time: time.Unix(5, 6).UTC(), Interval: time.Minute, Enum: "Mod::A", Color: "Mod::RED",
		Inner: inner{1, ptr("x")}, Vector: []string{"b", "a"}, Pair: [2]int64{1, 2},
		Set: []color{"Mod::BLUE", "Mod::RED"}, SetMap: map[index]struct{}{host: {}},
		Table: map[string]inner{"b": {2, nil}, "a": {1, ptr("y")}}, Pointer: ptr(uint64(9)),
		Any: uint64(3), Raw: event.List{nil, "z"}, Pattern: event.NewPattern("a"), Times: map[uint64]time.Time{},
	}
}

var fullRecordValue = event.List{
	true, int64(-5), uint64(7), 0.5, "s", "\x00\xff",
	host.Addr, netip.MustParsePrefix("2001:db8::/32"), host.Port,
	time.Unix(5, 6).UTC(), time.Minute, event.Enum("Mod::A"), event.Enum("Mod::RED"),
	event.List{uint64(1), "x"}, event.List{"b", "a"}, event.List{int64(1), int64(2)},
	event.Set{event.Enum("Mod::BLUE"), event.Enum("Mod::RED")}, event.Set{event.List{host.Addr, host.Port}},
	event.Table{{"a", event.List{uint64(1), "y"}}, {"b", event.List{uint64(2), nil}}}, uint64(9),
	nil, nil, uint64(3), event.List{nil, "z"}, event.List{"^?(a)$?", `^?(.|\n)*(a)`}, event.Table{},
}

func TestStructToValue(t *testing.T) {
	got, err := event.ToValue(fullRecord())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(event.Value(fullRecordValue), got, equal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValueToStruct(t *testing.T) {
	var got record
	// A slot more than the struct has fields is left alone.
	if err := event.FromValue(append(fullRecordValue[:len(fullRecordValue):len(fullRecordValue)], "extra"), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullRecord(), got, equal, cmp.AllowUnexported(record{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStructSurvivesTheTrip(t *testing.T) {
	for _, format := range []event.Format{event.BrokerBinV1, event.BrokerJSONV1} {
		want := fullRecord()
		want.Time = want.Time.Truncate(time.Millisecond)
		e, err := event.Pack("Mod::record", want)
		if err != nil {
			t.Fatal(err)
		}
		p, err := event.Encode(format, e)
		if err != nil {
			t.Fatal(err)
		}
		if e, err = event.Decode(format, p); err != nil {
			t.Fatal(err)
		}
		var got record
		if err := e.Unpack(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, equal, cmp.AllowUnexported(record{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", format, diff)
		}
	}
}

func TestFromValueRejects(t *testing.T) {
	tests := []struct {
		name  string
		value event.Value
		dst   any
		want  error
	}{
		{"no pointer", uint64(1), uint64(0), event.ErrType},
		{"nil pointer", uint64(1), (*uint64)(nil), event.ErrType},
		{"nothing", uint64(1), nil, event.ErrType},
		{"count into int", uint64(1), new(int64), event.ErrType},
		{"int into count", int64(1), new(uint64), event.ErrType},
		{"count into interval", int64(1), new(time.Duration), event.ErrType},
		{"real into time", 1.5, new(time.Time), event.ErrType},
		{"string into enum", "A", new(event.Enum), event.ErrType},
		{"enum into string", event.Enum("A"), new(string), event.ErrType},
		{"string into list", "A", new([]string), event.ErrType},
		{"set into list", event.Set{"a"}, new([]string), event.ErrType},
		{"list into set", event.List{"a"}, &struct {
			S []string `zeek:",set"`
		}{}, event.ErrType},
		{"set into map with values", event.Set{"a"}, new(map[string]bool), event.ErrType},
		{"table into map without values", event.Table{}, new(map[string]struct{}), event.ErrType},
		{"list as a key", event.Set{event.List{}}, new(map[any]struct{}), event.ErrType},
		{"unset into string", nil, new(string), event.ErrType},
		{"short record", event.List{uint64(1)}, new(inner), event.ErrType},
		{"large count", uint64(256), new(uint8), event.ErrRange},
		{"small int", int64(math.MinInt32 - 1), new(int32), event.ErrRange},
		{"large real", 1e300, new(float32), event.ErrRange},
		{"list of other length", event.List{int64(1)}, new([2]int64), event.ErrRange},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := event.FromValue(tt.value, tt.dst); !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestConversionErrorsNameTheField(t *testing.T) {
	var got struct {
		Name  string `zeek:"name"`
		Conns []struct {
			Port event.Port `zeek:"id.orig_p"`
		} `zeek:"conns"`
	}
	e := &event.Event{Name: "M::e", Args: []event.Value{"n", event.List{event.List{host.Port}, event.List{uint64(5)}}}}
	err := e.Unpack(&got)
	want := `event "M::e": field conns: element 1: field id.orig_p: event: type mismatch: cannot store a count in a event.Port`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestScan(t *testing.T) {
	e, err := event.New("M::e", 7, uint8(3), "x", netip.MustParseAddr("::ffff:1.2.3.4"), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	var i int
	var a netip.Addr
	var s string
	if err := e.Scan(&i, nil, &s, &a, nil); err != nil {
		t.Fatal(err)
	}
	if i != 7 || s != "x" || a.String() != "1.2.3.4" {
		t.Errorf("got %d, %q, %v", i, s, a)
	}
	for _, err := range []error{e.Scan(&i), e.Scan(&s, nil, nil, nil, nil), e.Unpack(&struct{}{}), e.Unpack(&i)} {
		if !errors.Is(err, event.ErrType) {
			t.Errorf("got error %v, want a type mismatch", err)
		}
	}
	if _, err := event.New("M::e", 1i); !errors.Is(err, event.ErrType) || !strings.Contains(err.Error(), "argument 1") {
		t.Errorf("got error %v", err)
	}
	if _, err := event.Pack("M::e", []int{1}); !errors.Is(err, event.ErrType) {
		t.Errorf("got error %v", err)
	}
}

func TestCompare(t *testing.T) {
	// In the order Zeek sends them.
	ordered := []event.Value{
		nil, false, true, uint64(0), uint64(math.MaxUint64), int64(-1), int64(1),
		math.NaN(), math.Inf(-1), 0.0, 1.5, "", "a", "a\x00", "b", "\xff",
		netip.MustParseAddr("::1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1"),
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/9"), netip.MustParsePrefix("2001:db8::/32"),
		event.Port{Number: 1, Proto: event.ICMP}, event.Port{Number: 2, Proto: event.TCP}, event.Port{Number: 2, Proto: event.UDP},
		time.Unix(1, 0), time.Unix(2, 0), -time.Second, time.Second, event.Enum("A"), event.Enum("B"),
		event.Set{}, event.Set{uint64(1)}, event.Set{uint64(1), uint64(2)}, event.Set{uint64(2)},
		event.Table{}, event.Table{{"a", "x"}}, event.Table{{"a", "y"}}, event.Table{{"b", "x"}},
		event.List{}, event.List{"a"}, event.List{"a", "b"}, event.List{"b"}, 5, // not a Value
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := event.Compare(a, b), min(max(i-j, -1), 1); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	s := event.Set{uint64(1), event.List{"a"}}
	if !s.Has(event.List{"a"}) || s.Has("a") || s.Has(int64(1)) {
		t.Error("set membership is wrong")
	}
	tab := event.Table{{"a", uint64(1)}}
	if v, ok := tab.Get("a"); !ok || v != uint64(1) {
		t.Errorf("got %v, %v", v, ok)
	}
	if v, ok := tab.Get("b"); ok || v != nil {
		t.Errorf("got %v, %v", v, ok)
	}
}

func TestPorts(t *testing.T) {
	for _, s := range []string{"443/tcp", "53/udp", "8/icmp", "0/unknown"} {
		p, err := event.ParsePort(s)
		if err != nil || p.String() != s {
			t.Errorf("ParsePort(%q) = %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "80", "80/", "/tcp", "65536/tcp", "-1/tcp", "80/sctp", "80/tcp "} {
		_, err := event.ParsePort(s)
		checkError(t, err, event.ErrPort)
	}
	if got := (event.Port{Number: 1, Proto: 9}).String(); got != "1/unknown" {
		t.Errorf("got %q", got)
	}
}
