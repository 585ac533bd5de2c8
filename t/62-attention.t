#!/usr/bin/env perl

# What the status says needs attention: that it says so when it is so, and not
# before and not afterwards.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new(timeout => 20);

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_pool jobs threads=2 concurrency=2 queue=5 busy=2;
    helix_kind hashmix max_cost=9000000000000000;
    helix_adapt off;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass hashmix;
            helix_job strategy=$arg_s;
        }

        location /pid {
            return 200 $pid;
        }

        location /helix {
            helix_status write=on;
        }
    }
}
END

$t->start;

# what is said, by the part of the dashboard that it is about

sub said {
    my ($pattern) = @_;

    my $s = $t->stats;

    is(scalar @{$s->{attention}}, scalar @{$s->{attention_see}},
       'each is about something')
        if @{$s->{attention}} != @{$s->{attention_see}};

    for my $n (0 .. $#{$s->{attention}}) {
        return $s->{attention_see}[$n] if $s->{attention}[$n] =~ $pattern;
    }

    return;
}

sub wait_said {
    my ($name, $pattern, $see) = @_;

    my $at = $t->wait_for(sub { said($pattern) }, $name);

    is($at, $see, $name)
        or diag(join "\n", @{$t->stats->{attention}});

    return;
}

sub wait_unsaid {
    my ($name, $pattern) = @_;

    ok($t->wait_for(sub { !said($pattern) }, $name), $name)
        or diag(join "\n", @{$t->stats->{attention}});

    return;
}

my $json = 'application/json';

# what happened before the first point of the history is in none

sub wait_history {
    ok($t->wait_for(sub { $t->get('/helix/api/history')->json->{n} >= 1 },
                    'a point'), 'the history has begun');

    return;
}

wait_history();


# nothing

is_deeply($t->stats->{attention}, [], 'nothing so far');
is($t->stats->{verdict}, 'no job so far', 'no job');
unlike($t->get('/helix')->body, qr/^!/m, 'text: nothing');
like($t->get('/helix/', Accept => 'text/html')->body,
     qr/id=attention[^>]* hidden>/, 'page: nothing');

$t->get('/jobs?cost=1') for 1 .. 5;

my $verdict = qr{^\d+(?:\.\d)? jobs/s, \d+\.\d\d% rejected, p99 \d+\.\d ms$};

ok($t->wait_for(sub { $t->stats->{verdict} =~ $verdict }, 'the verdict'),
   'the verdict has rates');

my $rate = $t->wait_for(sub {
    my $r = $t->stats->{rate};
    return $r->{jobs_per_sec} > 0 && $r;
}, 'a rate');

is($rate->{jobs_per_sec} * $rate->{window_secs} + 0, 5, 'five jobs');
is($rate->{dropped_per_sec}, 0, 'none was dropped');
is_deeply($t->stats->{attention}, [], 'nothing with jobs');


# the p99 is of all lanes: one slow job on a thread shows

my $slow = $t->get('/jobs?cost=2000000000&s=cpu_pool')->json->{total_ms};

ok($t->wait_for(sub {
    $t->stats->{verdict} =~ /p99 ([\d.]+) ms/ && $1 > 0.95 * $slow;
}, 'the p99 of the slow job'), 'the p99 is of all lanes')
    or diag("$slow: ", $t->stats->{verdict});


# rejections, by reason, and since when

my $before = time;

$t->get('/jobs?cost=1&s=drop') for 1 .. 3;

wait_said('rejections', qr/are rejected with "pinned" since/, 'rejections');

my ($line) = grep { /pinned/ } @{$t->stats->{attention}};

like($line, qr{^\d+\.\d\x20jobs/s\x20are\x20rejected\x20with\x20"pinned"
               \x20since\x20\d\d:\d\d:\d\d\x20UTC(?:\x20or\x20longer)?:
               \x20helix_job\x20drops\x20them\.$}x, 'in full');

my ($h, $m, $sec) = $line =~ /since (\d\d):(\d\d):(\d\d) UTC/;

my $ago = ($before - ($h * 3600 + $m * 60 + $sec)) % 86400;

$ago -= 86400 if $ago > 43200;

cmp_ok(abs $ago, '<=', 3, 'since when');


# a pool that is busy, and no place to wait

my @c;

# one at a time: of two that come for the last place at once, none may get it

ok($t->wait_for(sub {
    my $waiting = $t->stats->{strategies}{cpu_pool}{waiting};

    return 1 if $waiting == 5;

    push @c, $t->connect;
    $c[-1]->send(Helix::message('GET', '/jobs?s=cpu_pool&inputs=' . @c
                                       . '&cost=8000000000000000'));
    $t->wait_for(sub { $t->stats->{in_flight} >= @c }, 'the job', 1);

    return;
}, 'five to wait'), 'five wait');

wait_said('a busy pool', qr/^2 of 2 pool slots are busy: from 2 on/,
          'set-backpressure_busy_threshold');
wait_said('no place to wait',
          qr/^5 of the 5 places to wait of cpu_pool are taken/,
          'set-cpu_queue_cap');

$t->get('/jobs?s=cpu_pool&cost=100') for 1 .. 4;

wait_said('rejected for want of a place',
          qr/rejected with "queue_full" since .*: no place to wait is left\.$/,
          'set-cpu_queue_cap');

$_->close for @c;

wait_unsaid('the pool is free', qr/pool slots are busy/);
wait_unsaid('there are places', qr/places to wait/);


# settings

is($t->request('PATCH', '/helix/api/config', '{"batch_max_size":16}',
               'Content-Type' => $json)->status, 200, 'a change');
wait_said('a setting differs', qr/^1 setting differs from nginx\.conf:/,
          'config');
is($t->request('PATCH', '/helix/api/config', '{"batch_max_delay_ms":20}',
               'Content-Type' => $json)->status, 200, 'another');
wait_said('two differ', qr/^2 settings differ from nginx\.conf:/, 'config');
is($t->request('DELETE', '/helix/api/config')->status, 200, 'back');
wait_unsaid('none differs', qr/from nginx\.conf/);


# pressure from outside

is($t->post('/helix/api/telemetry',
            '{"pressure":0.5,"source":"gpu-1","ttl_ms":' . 2500 * Helix::SLOW
            . '}')->status, 200, 'telemetry');
like($t->get('/helix/', Accept => 'text/html')->body,
     qr/<tr><th scope=row>gpu-1<td>0\.50<td>\d+ s left/, 'page: the source');
wait_said('from outside',
          qr/^"gpu-1" reports a pressure of 0\.50, which holds for \d+ s/,
          'pressure');
wait_unsaid('it ends', qr/gpu-1/);


# a worker that dies

is(said(qr/died/), undef, 'none has died');

my $pid = $t->get('/pid')->body;

$t->expect_kill;
kill 9, $pid;

wait_said('a worker has died',
          qr/^1 worker process has died, 0 jobs with it: the error log/,
          'workers');

# what is said is the same everywhere

my $s = $t->stats;
my $text = $t->get('/helix')->body;
my $html = $t->get('/helix/', Accept => 'text/html')->body;

like($text, qr/^! 1 worker process has died, 0 jobs with it/m, 'text');
like($html, qr/<a href="#workers">1 worker process has died/, 'page');
like($html, qr/id=attention[^>]*"?>/, 'page: it is shown');

for my $see (@{$s->{attention_see}}) {
    like($html, qr/\bid=\Q$see\E[ >]/, "page: it has #$see");
}


# late jobs; rejections end

is(said(qr/latency budget/), undef, 'none was late');

$t->get('/jobs?s=cpu_pool&cost=200000000&budget_ms=1') for 1 .. 3;

wait_said('late jobs',
          qr/^[123] jobs? of the last minute took longer than the latency/,
          'lanes');

wait_unsaid('no rejections any more', qr/are rejected with/);


# a kind that cannot work, a state file that is damaged

$t->done;

my $two = Helix->new(timeout => 20);
my $dir = $two->dir;

system('gcc', '-shared', '-fPIC', '-O2', "-I$FindBin::Bin/../src/kinds",
       "$FindBin::Bin/lib/probe_kind.c", '-o', "$dir/probe.so") == 0
    or die 'cannot build probe.so';

$two->write('keep/zone.state', "nonsense\n");
chmod 0777, "$dir/keep";
chmod 0666, "$dir/keep/zone.state";

$two->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 1;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone   two state=%%DIR%%/keep/zone.state;
    helix_kernel down probe.so down=1;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
        }

        location /helix {
            helix_status;
        }
    }
}
END

$two->start;
$t = $two;

wait_history();

wait_said('a kind that is down',
          qr/^Kind "down" cannot work in worker \d+: its jobs are rejected/,
          'policy');
wait_said('a damaged state file',
          qr/^The state file could not be loaded or saved, 1 time: /,
          'workers');

is($t->get('/jobs?kind=down')->status, 503, 'a job of that kind');
wait_said('its rejection', qr/are rejected with "kernel" since/, 'policy');
