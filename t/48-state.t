#!/usr/bin/env perl

# The state file: what was counted, learned and set is there after a restart;
# never half of it, never a file that is not ours, nothing by nginx -t.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Fcntl qw(S_IMODE);
use POSIX qw(mkfifo);
use Test::More;
use Helix;

my $conf = <<'END';
%%TEST_GLOBALS%%

worker_processes 3;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    helix_zone keep %%STATE%%;
    helix_pool compute threads=2 concurrency=2;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_job strategy=$arg_s;
            helix_timeout 60s;
        }

        location /explain {
            helix_pass;
        }

        location /helix {
            helix_status write=on;
        }
    }
}
END

my $t = Helix->new;
my @lanes = qw(inline spawn cpu_pool batch drop);
my ($s, $before);


# configurations

for my $case (
    ['state=', 'invalid value "" of "state" in "helix_zone", the name of a '
               . 'file is expected'],
    ['state=dir/', 'invalid value "dir/" of "state" in "helix_zone", the '
                   . 'name of a file is expected'],
    ['state=' . 'x' x 3900, 'invalid value "xxx'],
    ['stat=a', 'invalid parameter "stat=a" in "helix_zone", did you mean '
               . '"state="?'],
    ['state', 'invalid parameter "state" in "helix_zone", did you mean '
              . '"state="?'],
    ['state=a state=b', 'duplicate parameter "state=b" in "helix_zone"'])
{
    # nginx frees nothing when it refuses a configuration

    local $ENV{TEST_ASAN_OPTIONS} = 'detect_leaks=0';

    my ($code, $out) = $t->nginx_t(with($case->[0]));

    isnt($code, 0, substr("$case->[0]: refused", 0, 60));
    like($out, qr/\Q$case->[1]\E/, 'and why');
}


# nginx -t makes nothing and opens nothing

mkdir $t->dir . '/state';

# for the workers, which are somebody else

chmod 0755, $t->dir;
chmod 0777, $t->dir . '/state';

my $file = $t->dir . '/state/keep.state';
my ($code) = $t->nginx_t(with("state=$file"));

is($code, 0, 'nginx -t');
is_deeply([files()], [], 'nothing was made');

SKIP: {
    skip 'no strace', 2 if system('strace -V >/dev/null 2>&1') != 0;
    skip 'sanitizers do not go with strace', 2 if $ENV{TEST_SLOW};

    my $trace = $t->dir . '/trace';

    system "strace -f -o $trace nginx -t -p " . $t->dir
           . ' -c test.conf -e logs/test.log >/dev/null 2>&1';

    my $calls = $t->read('trace');

    like($calls, qr/test\.conf/, 'strace sees what nginx opens');
    unlike($calls, qr/keep\.state/, 'the state file is not touched');
}


# a path of its own prefix, too

$t->conf(with('state=state/keep.state'));

# what dead processes have left

$t->write('state/keep.state.tmp.4194301', 'half');
$t->write('state/keep.state.tmp.x', 'not ours');
$t->write('state/other', 'not ours');

$t->start;
$t->wait_for(sub { @{$t->stats->{workers}} == 3 }, 'all workers');

is_deeply([files()], [qw(keep.state.tmp.x other)],
          'a stale temporary is removed, nothing else');
unlink map { $t->dir . "/state/$_" } files();

$s = $t->stats;

is($s->{state}{file}, $file, 'the file in api/stats');
is($s->{state}{saved}, undef, 'not saved yet');
is($s->{state}{errors}, 0, 'no errors');
is(metric('helix_state_saved_timestamp_seconds'), '0.000', 'Prometheus: saved');
is(metric('helix_state_errors_total'), 0, 'Prometheus: errors');

work();

is($t->request('PATCH', '/helix/api/config', '{"cpu_queue_cap":77}',
               'Content-Type' => 'application/json')->status, 200,
   'a setting at run time');


# which is saved before long

ok($t->wait_for(sub { $t->read('state/keep.state') =~ /"value":77,/ },
                'it to be saved', 10), 'a change is saved');
is_deeply([files()], ['keep.state'], 'one file');


# at a reload old workers do not save: new ones are there

my %old = map { $_ => 1 } $t->workers;

$t->wait_for(sub { saves() }, 'the log to say so');
ok($t->reload, 'reload');
$t->wait_for(sub { @{$t->stats->{workers}} == 3 }, 'old workers to leave');
is_deeply([grep { $old{$_} } savers()], [], 'old workers have saved nothing');
saves();


# QUIT and TERM keep all

for my $signal (qw(QUIT TERM QUIT)) {
    work();
    $before = settled();

    ok($t->stop($signal), $signal);
    is_deeply([files()], ['keep.state'], "$signal: the file, no temporary");
    is(S_IMODE((stat $file)[2]), 0600, "$signal: its mode");
    is($t->read('state/keep.state') =~ s/\n.*//sr
       =~ s/ \d+ [0-9a-f]{8}\z//r, 'helix-state 1', "$signal: first line");

    my @saves = saves();

    cmp_ok(scalar @saves, '>=', 1, "$signal: saved");
    cmp_ok($_, '<', 100_000 * Helix::SLOW * 5, "$signal: in time") for @saves;
    diag("$signal: saved in @saves us");

    begin($signal eq 'QUIT');

    $s = settled();

    is($s->{since}, $before->{since}, "$signal: since stays");
    cmp_ok($s->{epoch}, '>', $before->{epoch}, "$signal: another epoch");
    ok($s->{state}{saved}, "$signal: when it was saved");
    is_deeply(counted($s), counted($before), "$signal: all counters");
    is(join('; ', Helix::imbalance($s, 1)), '', "$signal: the books balance");
    is($s->{config}{overrides}, 1, "$signal: overrides");
    is($s->{strategies}{cpu_pool}{waiting_limit}, 77, "$signal: their values");

    for my $kind (qw(hashmix montecarlo_risk)) {
        cmp_ok($before->{kinds}{$kind}{samples}, '>=', 8,
               "$kind: learned from enough");
        close_to($s->{kinds}{$kind}{predicted_ms},
                 $before->{kinds}{$kind}{predicted_ms}, 0.2,
                 "$signal: $kind is predicted as before, from the first job");
    }
}

is(metric('helix_state_saved_timestamp_seconds') =~ s/\..*//r > time - 60, 1,
   'Prometheus: when it was saved');


# of a reset, too

is($t->post('/helix/api/reset', '{}')->status, 200, 'reset');
$t->get('/jobs?kind=hashmix&cost=1000&s=inline');
$before = settled();
is($before->{received}, 1, 'one job since then');
ok($t->stop, 'QUIT');
begin('TERM');
$s = settled();
is($s->{since}, $before->{since}, 'since is that of the reset');
is_deeply(counted($s), counted($before), 'counters are as after it');


# jobs in flight: TERM cancels them, which is counted

$t->connect->send(Helix::message('GET',
                  '/jobs?kind=hashmix&cost=20000000000&s=cpu_pool'));
my $c = $t->connect;
$c->send(Helix::message('GET',
                        '/jobs?kind=hashmix&cost=20000000000&s=cpu_pool'));
$t->wait_for(sub { $t->stats->{in_flight} >= 1 }, 'a job in flight');
ok($t->stop('TERM'), 'TERM');
$t->start;
$s = settled();
cmp_ok($s->{cancelled}, '>=', 1, 'it counts as cancelled');
is($s->{in_flight}, 0, 'nothing is in flight');
is(join('; ', Helix::imbalance($s, 1)), '', 'the books balance');


# every minute, and what kill -9 leaves

$before = settled();
work();

# there is always a job in flight

my $old = $t->read('state/keep.state');
my @busy;

$t->wait_for(sub {
    if ($t->stats->{in_flight} < 2) {
        push @busy, $t->connect;
        $busy[-1]->send(Helix::message('GET',
                        '/jobs?kind=hashmix&cost=20000000000&s=cpu_pool'));
    }

    return $t->read('state/keep.state') ne $old;
}, 'the next minute', 90);

is_deeply([files()], ['keep.state'], 'one file, no temporary');

$before = $t->stats;
$t->get('/jobs?kind=hashmix&cost=1000&s=inline') for 1 .. 3;

murder();
$t->start;

$s = settled();

is($s->{since}, $before->{since}, 'kill -9: since');
cmp_ok($s->{completed}, '<=', $before->{completed}, 'kill -9: not later');
cmp_ok($s->{completed}, '>=', $before->{completed} - 1,
       'kill -9: as of the last minute');
cmp_ok($s->{lost}, '>', $before->{lost}, 'kill -9: what was in flight is lost');
is(join('; ', Helix::imbalance($s, 1)), '', 'kill -9: the books balance');


# a kind that is not there any more: the sums stay

$before = settled();
ok($t->stop, 'QUIT');

my $text = $t->read('state/keep.state');

replace($text =~ s/"hashmix":/"hashmax":/r);
$t->start;
$s = settled();

is($s->{completed}, $before->{completed}, 'another kind: all jobs are there');
is($s->{kinds}{hashmix}{completed}, 0, 'not with a kind that has not done them');
is($s->{kinds}{unknown}{completed}, $before->{kinds}{hashmix}{completed},
   'but with those that are not known');
is($s->{strategies}{inline}{completed},
   $before->{strategies}{inline}{completed}, 'and with their strategies');
is(join('; ', Helix::imbalance($s, 1)), '', 'the books balance');

# what a newer module may add is passed over

ok($t->stop, 'QUIT');
replace($t->read('state/keep.state')
        =~ s/^\{/{"new":{"a":[1,{"b":null},"c"]},/mr);
$t->start;
is(settled()->{completed}, $before->{completed}, 'unknown members do no harm');


# damage

ok($t->stop, 'QUIT');

my $good = $t->read('state/keep.state');
my $len = length $good;
my %bad;

for my $i (map { int($len * $_ / 12) } 0 .. 11) {
    my $copy = $good;

    substr($copy, $i, 1) = chr(ord(substr $copy, $i, 1) ^ 1 << ($i % 8));
    $bad{"byte $i flipped"} = [$copy, qr/ it (?:is|has the format) /];
}

$bad{"$_ bytes"} = [substr($good, 0, $_), qr/ it is (?:not a state|damaged)/]
    for 0, 1, 11, 12, 20, int($len / 2), $len - 1;

$bad{'one byte more'} = ["$good\n", qr/it is damaged/];
$bad{'another format'} = [$good =~ s/state 1/state 2/r,
                          qr/it has the format of another version of helix/];
$bad{'another program'} = ["# nginx\n", qr/it is not a state file of helix/];
$bad{'an impossible sum'} = [sealed($good =~ s/"completed":\d+/"completed":9999999999/r),
                             qr/it has values that cannot be/];
$bad{'a bucket beyond'} = [sealed($good =~ s/"buckets":\[\d+/"buckets":[2369/r),
                           qr/it has values that cannot be/];
$bad{'no object'} = [sealed($good =~ s/\{.*/[]\n/sr),
                     qr/it has values that cannot be/];
$bad{'too large'} = [undef, qr/it is too large/, sub {
    open my $fh, '>', $file; truncate $fh, 5_000_000; }];
$bad{'a directory'} = [undef, qr/it is not a regular file/, sub {
    mkdir $file }];
$bad{'a FIFO'} = [undef, qr/it is not a regular file/, sub {
    mkfifo($file, 0600); chmod 0666, $file }];
$bad{'a symbolic link'} = [undef, qr/it is a symbolic link/, sub {
    $t->write('good', $good); symlink $t->dir . '/good', $file }];

for my $name (sort keys %bad) {
    my ($bytes, $why, $make) = @{$bad{$name}};

    remove();
    $make ? $make->() : $t->write('state/keep.state', $bytes);

    my $from = length $t->read('logs/error.log');

    $t->start;
    $s = $t->stats;

    my $log = substr $t->read('logs/error.log'), $from;
    my @lines = $log =~ /(.*state file .*)/g;

    is(scalar @lines, 1, "$name: one line");
    like($lines[0] // '', $why, "$name: which says why");
    is($s->{admitted} + $s->{invalid} + $s->{config}{overrides}
       + $s->{kinds}{hashmix}{samples}, 0, "$name: nothing of it is used");
    is($s->{state}{errors}, 1, "$name: an error");
    is_deeply([files()], ['keep.state.damaged'], "$name: set aside");

    ok($t->stop, "$name: QUIT");
    is_deeply([files()], ['keep.state', 'keep.state.damaged'],
              "$name: a new file");
    is(-f $t->dir . '/good' ? $t->read('good') : $good, $good,
       "$name: not through the link");
}


# no directory

remove();
$t->conf(with('state=nowhere/keep.state'));
my $from = length $t->read('logs/error.log');
$t->start;

$s = $t->stats;
is($s->{state}{errors}, 1, 'no directory: an error');
$t->reload;

my @warn = substr($t->read('logs/error.log'), $from)
           =~ /(\[warn\] .*cannot write.*)/g;

is(scalar @warn, 1, 'no directory: one warning');
like($warn[0], qr{\ cannot\ write\ "\Q@{[$t->dir]}\E/nowhere/keep\.state",\ state
                  \ will\ not\ be\ saved:\ make\ its\ directory,.*\ \(2:\ }x,
     'which tells what to do');

is($t->get('/jobs?kind=hashmix&cost=1000')->status, 200, 'jobs run');
ok($t->stop, 'QUIT');
like(substr($t->read('logs/error.log'), $from),
     qr/\[error\] .*state was not saved to ".*": open\(\) failed \(2: /,
     'an error at the end');

# no state file at all

$t->conf(with(''));
$t->start;
is_deeply($t->stats->{state}, { file => undef, saved => undef, errors => 0 },
          'no file');
$t->done;
done_testing();


# Workers that are ended by TERM leave what nginx does not free.

sub begin {
    my ($term) = @_;

    local $ENV{TEST_ASAN_OPTIONS} = 'detect_leaks=0' if $term;

    $t->start;
}


sub with {
    my ($state) = @_;

    return $conf =~ s/%%STATE%%/$state/r;
}


sub work {
    for my $kind (qw(hashmix montecarlo_risk)) {
        $t->get("/jobs?kind=$kind&cost=" . 20000 * $_ . "&s=$lanes[$_ % 5]")
            for 1 .. 60;
    }

    $t->get('/jobs?kind=x');
    $t->get('/jobs?kind=hashmix&cost=x');
}


# What any worker says once it has looked around.

sub settled {
    my $now;

    $t->wait_for(sub {
        $now = $t->stats or return;
        $now->{in_flight} == 0 && @{$now->{workers}} == 3;
    }, 'all jobs to end');

    return $now;
}


sub counted {
    my ($stats) = @_;

    my %copy = map { $_ => $stats->{$_} }
                   qw(received invalid dropped admitted completed failed
                      expired cancelled shed lost late coalesced approximated
                      crashes dry_run batched dropped_by_reason invalid_by_code
                      batches_by_flush);

    for my $lane (keys %{$stats->{strategies}}) {
        my $of = $stats->{strategies}{$lane};

        $copy{$lane} = [@$of{qw(admitted completed late)}];
        $copy{"$lane $_->[0] $_->[1]"} = $of->{$_->[0]}{$_->[1]}
            for map { my $key = $_; map { [$key, $_] } qw(count avg p50 p99) }
                    qw(latency_ms queue_ms);
    }

    for my $kind (keys %{$stats->{kinds}}) {
        my $of = $stats->{kinds}{$kind};

        $copy{$kind} = [@$of{qw(received invalid dropped completed)},
                        $of->{levels}, $of->{exec_ms}];
    }

    return \%copy;
}


sub close_to {
    my ($got, $expected, $part, $name) = @_;

    ok($expected > 0 && abs($got / $expected - 1) <= $part, $name)
        or diag("got $got, expected $expected");
}


sub metric {
    my ($name) = @_;

    return ($t->get('/helix/metrics')->body =~ /^$name\{[^}]*\} (\S+)$/m)[0];
}


# Microseconds of each save since the last call.

my $seen;

sub saves {
    my $log = $t->read('logs/error.log');
    my @saves = substr($log, $seen // 0)
                =~ /helix: state saved, \d+ bytes in (\d+) us/g;

    $seen = length $log;

    return @saves;
}


# Who has saved since then.

sub savers {
    return substr($t->read('logs/error.log'), $seen // 0)
           =~ / (\d+)#\d+: helix: state saved, /g;
}


sub files {
    opendir my $dir, $t->dir . '/state' or return;

    return sort grep { !/^\./ } readdir $dir;
}


sub remove {
    for my $name (files()) {
        my $path = $t->dir . "/state/$name";

        -d $path && !-l $path ? rmdir $path : unlink $path;
    }
}


# With the length and the checksum that it should have.

sub sealed {
    my ($bytes) = @_;
    my $body = $bytes =~ s/\A[^\n]*\n//r;
    my $crc = 0xffffffff;

    for my $byte (unpack 'C*', $body) {
        $crc ^= $byte;
        $crc = $crc & 1 ? $crc >> 1 ^ 0xedb88320 : $crc >> 1 for 1 .. 8;
    }

    return sprintf "helix-state 1 %d %08x\n%s", length $body,
                   $crc ^ 0xffffffff, $body;
}


sub replace { $t->write('state/keep.state', sealed($_[0])) }


sub murder {
    my @pids = ($t->master_pid, $t->workers);

    kill 'KILL', @pids;
    $t->wait_for(sub { !grep { kill 0, $_ } @pids }, 'all to be dead');
    delete $t->{master};
    unlink $t->dir . '/nginx.pid';
}
