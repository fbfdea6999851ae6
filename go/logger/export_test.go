// SPDX-License-Identifier: BSD-3-Clause

package logger

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/zeekzmq/zeek-zeromq/go/logbatch"
)

var testTime = time.Unix(1700000000, 0)

// ConnHeader has the columns of a conn.log, mostly.
var ConnHeader = logbatch.Header{Stream: "Bench::LOG", Writer: "Log::WRITER_ASCII", Filter: "default", Path: "bench", Fields: []logbatch.Field{
	{Name: "ts", Type: logbatch.Time}, {Name: "uid", Type: logbatch.String},
	{Name: "id.orig_h", Type: logbatch.Addr}, {Name: "id.orig_p", Type: logbatch.Port},
	{Name: "id.resp_h", Type: logbatch.Addr}, {Name: "id.resp_p", Type: logbatch.Port},
	{Name: "proto", Type: logbatch.Enum}, {Name: "service", Type: logbatch.String, Optional: true},
	{Name: "duration", Type: logbatch.Interval, Optional: true}, {Name: "orig_bytes", Type: logbatch.Count, Optional: true},
	{Name: "resp_bytes", Type: logbatch.Count, Optional: true}, {Name: "conn_state", Type: logbatch.String, Optional: true},
	{Name: "local_orig", Type: logbatch.Bool, Optional: true}, {Name: "history", Type: logbatch.String, Optional: true},
	{Name: "tunnel_parents", Type: logbatch.Set, Subtype: logbatch.String, Optional: true},
}}

// AddConn adds a record for ConnHeader.
func AddConn(b *logbatch.Builder, i int) {
	b.Seconds(1.7e9 + float64(i)*0.001037)
	b.Text(fmt.Sprintf("CHhAvVGS1DHFjw%04d", i%10000))
	b.Addr(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	b.Port(uint16(30000+i%20000), logbatch.TCP)
	b.Addr(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	b.Port(443, logbatch.TCP)
	b.Text("tcp")
	b.Text("ssl")
	b.Seconds(float64(i) * 0.00371)
	b.Count(uint64(i * 31))
	b.Count(uint64(i * 1777))
	b.Text("SF")
	b.Unset()
	b.Text("ShADadFf")
	b.Unset()
}
