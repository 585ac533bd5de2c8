#!/usr/bin/env perl

# The state file when something is in the way: of reading it, of setting it
# aside, of those that should leave.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $nginx = '/usr/share/nginx/src';
my $root = "$FindBin::Bin/..";

plan skip_all => 'no headers of nginx'
    if !-d $nginx || !-d "$root/build/debian";

my $conf = <<'END';
%%TEST_GLOBALS%%

worker_processes WORKERS;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone keep state=state/STATE;
    helix_pool compute threads=2 concurrency=2;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        location /jobs {
            helix_pass;
            helix_job strategy=$arg_s;
        }

        location /helix {
            helix_status write=on;
        }
    }
}
END

my $t = Helix->new;
my $dir = $t->dir;
my $file = "$dir/state/keep.state";
my %offset = offsets();
my ($s, $n, $bytes);

mkdir "$dir/state";
chmod 0755, $dir;
chmod 0777, "$dir/state";


# a worker that does not leave by itself

for my $signal (qw(TERM QUIT)) {
    begin(2);
    jobs(20);
    patch('{"cpu_queue_cap":77}');

    my ($stopped) = $t->workers;

    $n = $t->stats->{completed};
    kill 'STOP', $stopped;

    if ($signal eq 'TERM') {
        $t->expect_kill;
        ok($t->stop('TERM'), 'TERM: the others leave');

    } else {
        $t->signal('QUIT');
        ok($t->wait_for(sub { saved() =~ /"admitted"/ && books() == $n },
                        'the file', 10), 'QUIT: saved without the one');
        kill 'CONT', $stopped;
        $t->wait_for(sub { !$t->workers }, 'it to leave');
        ok($t->stop, 'QUIT');
    }

    begin(2);
    is($t->stats->{completed}, $n, "$signal: all jobs");
    is($t->stats->{config}{overrides}, 1, "$signal: settings");
    ok($t->stop, 'QUIT');
    remove();
}


# a change is saved before long

begin(2);
patch('{"cpu_queue_cap":78}');
ok($t->wait_for(sub { saved() =~ /"value":78,/ }, 'a save', 10),
   'a change is saved');

my @pids = ($t->master_pid, $t->workers);

kill 'KILL', @pids;
$t->wait_for(sub { !grep { kill 0, $_ } @pids }, 'all to be dead');
delete $t->{master};
unlink "$dir/nginx.pid";

begin(2);
is($t->stats->{config}{overrides}, 1, 'and survives kill -9');
jobs(5);
ok($t->stop, 'QUIT');


# the file cannot be read for now

SKIP: {
    chmod 0, $file;
    $bytes = saved();
    $n = mark();

    begin(2);

    skip 'workers may read everything', 14 if $t->stats->{completed};

    is($t->get('/jobs?kind=hashmix&cost=10&s=inline')->status, 200,
       'not readable: jobs run');

    my @lines = since($n) =~ /(.*state file .*)/g;

    is(scalar @lines, 1, 'not readable: one line');
    like($lines[0], qr/ used, and not written, until it .*open\(\) failed \(13:/,
         'which says so');
    is($t->stats->{state}{errors}, 1, 'an error');
    ok($t->stop, 'QUIT');
    is_deeply([files()], ['keep.state'], 'not set aside');
    is(saved(), $bytes, 'nor written');

    # somebody holds the settings when it can be read

    begin(2);
    poke('control', $$);
    chmod 0600, $file;
    sleep 3;
    is($t->stats->{completed}, 0, 'nothing without the settings');
    is_deeply([files()], ['keep.state'], 'which are left in the file');
    is(saved(), $bytes, 'as they are');
    poke('control', 0);
    ok($t->wait_for(sub { $t->stats->{completed} == 5 }, 'it to be loaded'),
       'it is loaded');
    is($t->stats->{config}{overrides}, 1, 'with the settings');

    # nor the counters

    poke('base', $$);
    is($t->post('/helix/api/reset', '{}')->status, 503, 'a reset that is busy');
    poke('base', 0);
    is($t->post('/helix/api/reset', '{}')->status, 200, 'and one that is not');
    ok($t->stop, 'QUIT');
}


# damaged, and cannot be set aside

mkdir "$file.$_" for 'damaged', map { "damaged.$_" } 1 .. 9;
$t->write('state/keep.state', 'helix-state 1 x');
$n = mark();
begin(2);

is(scalar(() = since($n) =~ /state file .* is not used: it is damaged/g), 1,
   'damaged: one line');
is(scalar(() = since($n) =~ /cannot rename .*will not be saved until/g), 1,
   'cannot be set aside: one line');
cmp_ok($t->stats->{state}{errors}, '>=', 1, 'errors');
jobs(5);
patch('{"cpu_queue_cap":79}');
sleep 3;
ok($t->stop, 'QUIT');
is(saved(), 'helix-state 1 x', 'it is not written over');

begin(2);
jobs(7);
rmdir "$file.damaged.3";
ok($t->wait_for(sub { -f "$file.damaged.3" }, 'room'), 'set aside later');
ok($t->stop, 'QUIT');
is($t->read('state/keep.state.damaged.3'), 'helix-state 1 x', 'as it was');
is(books(), 7, 'and a new one is saved');

remove();

for my $i (1, 2) {
    $t->write('state/keep.state', "damage $i");
    begin(1);
    ok($t->stop, 'QUIT');
}

is($t->read('state/keep.state.damaged'), 'damage 1', 'the first damage stays');
is($t->read('state/keep.state.damaged.1'), 'damage 2', 'beside the second');
remove();


# another file at a reload

begin(2);
jobs(9);
$t->write('state/other.state', 'of something else');
$t->conf(text(2, 'other.state'));
$n = mark();
ok($t->reload, 'reload');
like(since($n), qr/other\.state" is ".*other\.state\.unread" now/,
     'another file: set aside');
ok($t->stop, 'QUIT');
is($t->read('state/other.state.unread'), 'of something else', 'not lost');
is(books('other.state'), 9, 'the state is in the new one');
remove();


# what was learned last is what is saved

begin(2);
jobs(2000, 1000, 'inline');
ok($t->reload, 'reload');
$t->wait_for(sub { @{$t->stats->{workers}} == 2 }, 'old ones to leave');
jobs(2400, 50000, 'inline');
ok($t->stop, 'QUIT');

my ($model) = saved() =~ /"hashmix":.*?"model":\{([^}]*)\}/;
my %m = ($model // '') =~ /"(\w+)":([-+.e\d]+)/g;

cmp_ok($m{n} // 0, '>=', 40, 'a model');
cmp_ok(abs($m{xx} / $m{n} - ($m{x} / $m{n}) ** 2), '<', 0.5,
       'of jobs of the last generation');
remove();


# what the event loop has of it, at its most

system('cc', '-shared', '-fPIC', '-O1', "-I$root/src/kinds",
       "$root/t/lib/probe_kind.c", '-o', "$dir/many.so") == 0
    or die "cannot build many.so\n";

my @kinds = map { "k$_" } 1 .. 29;
my $kernels = join '', map { "helix_kernel $_ $dir/many.so;\n" } @kinds;

$conf =~ s/(?=    helix_zone )/$kernels/;
begin(2);

for my $kind (@kinds) {
    $t->get("/jobs?kind=$kind&cost=" . 20 * $_ . '&s=inline') for 1 .. 40;
}

$n = mark();
patch('{"cpu_queue_cap":80}');
$t->wait_for(sub { since($n) =~ /state saved/ }, 'a save', 10);

my ($size, $held) = since($n)
    =~ /state saved, (\d+) bytes in \d+ us, (\d+) us of the event loop/;

diag(scalar(grep { $_ ne "unknown" } keys %{$t->stats->{kinds}})
     . " kinds, $size bytes, $held us of the event loop");
cmp_ok($held, '<', 10_000 * Helix::SLOW, 'the event loop goes on');
ok($t->stop, 'QUIT');
remove();

begin(1);
$t->done;
done_testing();


sub text {
    my ($workers, $state) = @_;

    return $conf =~ s/WORKERS/$workers/r =~ s/STATE/$state/r;
}


sub begin {
    my ($workers) = @_;

    $t->conf(text($workers, 'keep.state'));

    local $ENV{TEST_ASAN_OPTIONS} = 'detect_leaks=0';

    $t->start;
    $t->wait_for(sub { @{$t->stats->{workers}} == $workers }, 'all workers');
}


sub jobs {
    my ($jobs, $cost, $lane) = @_;

    $cost //= 1000;
    $lane //= 'spawn';

    for (1 .. $jobs) {
        $t->get("/jobs?kind=hashmix&cost=$cost&s=$lane");
    }
}


sub patch {
    is($t->request('PATCH', '/helix/api/config', $_[0],
                   'Content-Type' => 'application/json')->status, 200,
       "PATCH $_[0]");
}


sub saved { return -f $file ? $t->read('state/keep.state') : '' }


sub books {
    my ($name) = @_;
    my $completed = 0;

    return -1 if !-f "$dir/state/" . ($name // 'keep.state');

    $completed += $_
        for $t->read('state/' . ($name // 'keep.state'))
            =~ /"completed":(\d+)/g;

    return $completed;
}


sub mark { return length $t->read('logs/error.log') }
sub since { return substr $t->read('logs/error.log'), $_[0] }


sub files {
    opendir my $handle, "$dir/state" or return;

    return sort grep { !/^\./ } readdir $handle;
}


sub remove {
    for my $path (map { "$dir/state/$_" } files()) {
        -d $path ? rmdir $path : unlink $path;
    }
}


# Where the words of the writers are in the zone.

sub offsets {
    my @headers = map { "-I$_" } "$root/build/debian",
                  glob("$root/src/{base,state}"),
                  glob "$nginx/src/{core,event,event/modules,os/unix}";

    $t->write('offsets.c', <<'END');
#include <ngx_config.h>
#include <ngx_core.h>
#include <stdio.h>
#include "ngx_helix_layout.h"

int
main(void)
{
    printf("layout %llu\nsize %llu\ncontrol %llu\nbase %llu\n",
           (unsigned long long) NGX_HELIX_LAYOUT,
           (unsigned long long) sizeof(ngx_helix_zone_t),
           (unsigned long long) offsetof(ngx_helix_zone_t, control.writer),
           (unsigned long long) offsetof(ngx_helix_zone_t, base_writer));

    return 0;
}
END

    my $out = qx{gcc -w -D_GNU_SOURCE @headers -o $dir/offsets $dir/offsets.c 2>&1}
           . qx{$dir/offsets};

    return $out =~ /^(\w+) (\d+)$/mg;
}


# A word of the zone: a process that did not find out when it was started.

sub poke {
    my ($name, $value) = @_;
    no warnings 'portable';

    my ($pid) = $t->workers;
    my $head = pack 'Q3', 0x78696c6568, @offset{qw(layout size)};

    open my $maps, '<', "/proc/$pid/maps" or die $!;
    open my $mem, '+<:raw', "/proc/$pid/mem" or die $!;

    while (<$maps>) {
        my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw-s/ or next;

        ($from, $to) = map { hex } $from, $to;

        next if $to - $from < $offset{size};

        for (my $at = $from; $at < $from + (16 << 20); $at += 128) {
            sysseek $mem, $at, 0;
            sysread $mem, my $bytes, 24;

            next if $bytes ne $head;

            sysseek $mem, $at + $offset{$name}, 0;
            return syswrite($mem, pack 'Q', $value) == 8;
        }
    }

    die 'no zone';
}
