# SPDX-License-Identifier: BSD-3-Clause
#
##! Workers write BENCH_COUNT_1 rows each, loggers write them to files, which the
##! program watches.

@load base/frameworks/logging
@load base/frameworks/logging/writers/ascii
@load ./common

redef LogAscii::include_meta = F;

module Bench;

export {
	redef enum Log::ID += { LOG };

	type Row: record {
		ts: time &log;
		uid: string &log;
		id: conn_id &log;
		service: string &log &optional;
		duration: interval &log &optional;
		orig_bytes: count &log &optional;
		state: string &log;
	};

	global more: event(left: count);
}

event zeek_init()
	{
	Log::create_stream(LOG, Log::Stream($columns=Row, $path="bench"));
	}

const chunk = 100;

event Bench::more(left: count)
	{
	local n = left < chunk ? left : chunk;
	local i = 0;
	local id = conn_id($orig_h=192.0.2.1, $orig_p=4711/tcp, $resp_h=198.51.100.7, $resp_p=443/tcp);

	while ( i < n )
		{
		Log::write(LOG, Row($ts=current_time(), $uid="CHhAvVGS1DHFjwGM9", $id=id, $service="ssl", $duration=1.5sec,
		                    $orig_bytes=left, $state="SF"));
		++i;
		}

	if ( left > n )
		event Bench::more(left - n);
	else
		{
		Log::flush(LOG);
		tell(fmt("sent 1 %.6f", current_time()));
		}
	}

event Bench::go(step: count)
	{
	if ( /^worker/ !in Cluster::node )
		return;

	tell(fmt("start 1 %.6f", current_time()));
	event Bench::more(number("BENCH_COUNT_1"));
	}
