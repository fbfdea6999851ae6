# SPDX-License-Identifier: BSD-3-Clause

##! Rows as in conn.log. As worker-1, Zeek sends some; as manager, it is
##! the logger that is compared.

@load policy/frameworks/cluster/backend/zeromq

redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = getenv("BENCH_XPUB");
redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = getenv("BENCH_XPUB");
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = getenv("BENCH_XSUB");
redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = getenv("BENCH_XSUB");
redef Cluster::Backend::ZeroMQ::linger_ms = 10000;
redef Log::default_rotation_interval = 0sec;
redef Log::enable_local_logging = Cluster::node == "manager";
redef Log::enable_remote_logging = Cluster::node != "manager";
redef LogAscii::use_json = getenv("BENCH_JSON") == "T";
redef exit_only_after_terminate = T;

module Bench;

export {
	redef enum Log::ID += { LOG };

	type Info: record {
		ts: time &log;
		uid: string &log;
		id: conn_id &log;
		proto: transport_proto &log;
		service: string &log &optional;
		duration: interval &log &optional;
		orig_bytes: count &log &optional;
		resp_bytes: count &log &optional;
		conn_state: string &log &optional;
		local_orig: bool &log &optional;
		local_resp: bool &log &optional;
		missed_bytes: count &log &default=0;
		history: string &log &optional;
		orig_pkts: count &log &optional;
		orig_ip_bytes: count &log &optional;
		resp_pkts: count &log &optional;
		resp_ip_bytes: count &log &optional;
		tunnel_parents: set[string] &log &optional;
		ip_proto: count &log &optional;
	};

	const rows = 20000 &redef;
}

event zeek_init()
	{
	Log::create_stream(Bench::LOG, Log::Stream($columns=Info, $path="bench"));
	}

@if ( Cluster::node == "manager" )

redef Cluster::Backend::ZeroMQ::listen_log_endpoint = getenv("BENCH_LOG");

@else

redef Cluster::manager_is_logger = F; # not at its place in the layout
redef Cluster::Backend::ZeroMQ::connect_log_endpoints = vector(getenv("BENCH_LOG"));

global services = vector("ssl", "http", "dns", "ssh", "smtp");
global states = vector("SF", "S0", "REJ", "RSTO", "S1");
global histories = vector("ShADadFf", "S", "ShADadfF", "Dd", "ShAdDaFf");

function write(i: count)
	{
	local id = conn_id($orig_h=counts_to_addr(vector(167772160 + i * 7919 % 16777216)), $orig_p=count_to_port(1024 + i * 31 % 60000, tcp),
	    $resp_h=i % 7 == 0 ? [2001:db8::1] : counts_to_addr(vector(3221225984 + i % 250)), $resp_p=count_to_port(i % 3 == 0 ? 80 : 443, tcp));
	local info = Info($ts=double_to_time(1.7e9 + i * 0.001237), $uid=unique_id("C"), $id=id, $proto=i % 5 == 0 ? udp : tcp);

	if ( i % 4 != 0 )
		{
		info$service = services[i % 5];
		info$duration = double_to_interval(i * 0.000371 + 0.01);
		info$orig_bytes = i * 31 % 100000;
		info$resp_bytes = i * 1777 % 10000000;
		}

	info$conn_state = states[i % 5];
	info$local_orig = i % 2 == 0;
	info$local_resp = i % 3 == 0;
	info$history = histories[i % 5];
	info$orig_pkts = i % 300;
	info$orig_ip_bytes = i * 41 % 200000;
	info$resp_pkts = i % 500;
	info$resp_ip_bytes = i * 1801 % 20000000;
	info$ip_proto = 6;

	if ( i % 50 == 0 )
		info$tunnel_parents = set(unique_id("C"));

	Log::write(Bench::LOG, info);
	}

event zeek_init() &priority=-10
	{
	local i = 0;

	while ( i < rows )
		write(++i);
	}

@endif
