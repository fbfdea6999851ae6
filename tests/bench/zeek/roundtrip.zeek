# SPDX-License-Identifier: BSD-3-Clause
#
##! The worker asks BENCH_COUNT_<step> times at BENCH_RATE_<step> a second, the
##! manager answers. The times between question and answer, in microseconds, go
##! to the file "times-<step>".

@load ./common

module Bench;

export {
	global ping: event(sent: time);
	global pong: event(sent: time);
	global tick: event(step: count);
	global give_up: event(step: count);
}

global asked = 0;
global answered = 0;
global began: time;
global out: file;
global times: vector of double;
global step_now = 0;

event zeek_init() &priority=-20
	{
	Cluster::subscribe(Cluster::node == "manager" ? "bench.ping." : "bench.pong.");
	}

event Bench::tick(step: count)
	{
	local n = number(fmt("BENCH_COUNT_%d", step));
	local rate = count_to_double(number(fmt("BENCH_RATE_%d", step)));
	local due = double_to_count(interval_to_double(current_time() - began) * rate) + 1;

	if ( due > n )
		due = n;

	while ( asked < due )
		{
		Cluster::publish("bench.ping.", Bench::ping, current_time());
		++asked;
		}

	if ( asked < n )
		schedule double_to_interval(rate > 1000.0 ? 0.001 : 1.0 / rate) { Bench::tick(step) };
	}

event Bench::go(step: count)
	{
	if ( Cluster::node == "manager" )
		return;

	step_now = step;
	asked = answered = 0;
	times = vector();
	began = current_time();
	event Bench::tick(step);
	}

event Bench::ping(sent: time)
	{
	Cluster::publish("bench.pong.", Bench::pong, sent);
	}

event Bench::pong(sent: time)
	{
	times += interval_to_double(current_time() - sent) * 1e6;

	if ( ++answered < number(fmt("BENCH_COUNT_%d", step_now)) )
		return;

	out = open(fmt("times-%d", step_now));

	for ( i in times )
		print out, fmt("%.1f", times[i]);

	close(out);
	tell(fmt("answered %d", step_now));
	event Bench::look(step_now + 1);
	}
