# SPDX-License-Identifier: BSD-3-Clause
#
##! What publishing costs the main thread. The worker publishes, the manager
##! counts. A step is one burst of BENCH_COUNT_<step> events of BENCH_SIZE_<step>
##! bytes to the topic BENCH_TOPIC_<step>; between bursts all queues run empty.

@load ./common

module Bench;

event zeek_init() &priority=-20
	{
	if ( Cluster::node == "manager" )
		Cluster::subscribe("bench.heard.");
	}

event Bench::go(step: count)
	{
	local n = number(fmt("BENCH_COUNT_%d", step));
	local topic = getenv(fmt("BENCH_TOPIC_%d", step));
	local payload = text(number(fmt("BENCH_SIZE_%d", step)));
	local i = 0;

	local before = current_time();

	while ( i < n )
		{
		Cluster::publish(topic, Bench::blob, payload);
		++i;
		}

	local after = current_time();
	tell(fmt("burst %d %.6f", step, interval_to_double(after - before)));
	event Bench::look(step + 1);
	}

global received = 0;

event Bench::blob(s: string)
	{
	++received;

	if ( received % 100 == 0 )
		tell(fmt("received %d", received));
	}
