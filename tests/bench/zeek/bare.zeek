# SPDX-License-Identifier: BSD-3-Clause
#
##! A Zeek without any cluster, to compare with.

redef exit_only_after_terminate = T;

event zeek_init() &priority=-20
	{
	print "bench up";
	flush_all();
	}
