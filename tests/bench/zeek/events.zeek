# SPDX-License-Identifier: BSD-3-Clause
#
##! Events from senders to receivers as fast as they go: BENCH_SENDERS,
##! BENCH_RECEIVERS are roles. Each step sends BENCH_COUNT_<step> events of
##! BENCH_SIZE_<step> bytes from every sender; every receiver awaits all. With
##! BENCH_TOPICS, the receivers subscribe to so many topics and senders use one
##! after the other.

@load ./common

module Bench;

export {
	global subscribe_more: event(next_one: count);
	global more: event(left: count);
}

const role = split_string(Cluster::node, /-/)[0];
const is_sender = role == getenv("BENCH_SENDERS");
const is_receiver = role == getenv("BENCH_RECEIVERS");
const topics_wanted = number("BENCH_TOPICS");

# Between two rounds of the main loop, as packets would come.
const chunk = 200;

global payload: string;
global topics: vector of string;
global next_topic = 0;
global received = 0;
global wanted = 0;
global step_now = 0;

function prepare(step: count)
	{
	step_now = step;
	payload = text(number(fmt("BENCH_SIZE_%d", step)));
	wanted = number(fmt("BENCH_COUNT_%d", step)) * number("BENCH_SENDER_COUNT");
	received = 0;
	}

event zeek_init() &priority=-20
	{
	topics = vector();
	local i = 0;

	while ( i < topics_wanted )
		{
		topics += fmt("bench.topic.%d.", i);
		++i;
		}

	if ( is_receiver )
		Cluster::subscribe("bench.all.");
	}

# Step 0, so to say: topics, not all at once, or libzmq may lose some.
event Bench::subscribe_more(next_one: count)
	{
	local n = 0;

	while ( next_one < topics_wanted && n < 200 )
		{
		Cluster::subscribe(topics[next_one]);
		++next_one;
		++n;
		}

	if ( next_one < topics_wanted )
		schedule 2msecs { Bench::subscribe_more(next_one) };
	}

# A sender that the topics' subscriptions have all come to can start.
global topics_seen = 0;

event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( is_sender && /^bench\.topic\./ in topic && ++topics_seen == topics_wanted )
		tell("topics");
	}

event Cluster::node_up(name: string, id: string) &priority=-10
	{
	if ( is_receiver && topics_wanted > 0 )
		event Bench::subscribe_more(0);
	}

event Bench::more(left: count)
	{
	local n = left < chunk ? left : chunk;
	local i = 0;

	while ( i < n )
		{
		if ( topics_wanted == 0 )
			Cluster::publish("bench.all.", Bench::blob, payload);
		else
			{
			Cluster::publish(topics[next_topic], Bench::blob, payload);
			next_topic = next_topic + 1 < topics_wanted ? next_topic + 1 : 0;
			}

		++i;
		}

	if ( left > n )
		event Bench::more(left - n);
	else
		{
		tell(fmt("sent %d %.6f", step_now, current_time()));
		event Bench::look(step_now + 1);
		}
	}

event Bench::go(step: count)
	{
	prepare(step);

	if ( is_receiver )
		{
		tell(fmt("prepared %d", step));
		event Bench::look(step + 1);
		}

	if ( is_sender )
		{
		tell(fmt("start %d %.6f", step, current_time()));
		event Bench::more(number(fmt("BENCH_COUNT_%d", step)));
		}
	}

event Bench::blob(s: string)
	{
	if ( ++received == wanted )
		tell(fmt("received %d %.6f", step_now, current_time()));
	}
