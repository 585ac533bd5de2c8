#!/usr/bin/env perl

# What is decided and what comes of it: the newest decisions, and the stream.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Helix;

my $t = Helix->new;

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%

    helix_batch size=4 delay=1ms;
    helix_pool compute threads=2 concurrency=2 busy=off;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_job strategy=$arg_s;
        }

        location /helix {
            helix_status;
        }
    }
}
END

$t->start;


# the newest decisions

is_deeply($t->get('/helix/api/decisions')->json, [], 'nothing is decided yet');

my @jobs;

for my $n (1 .. 60) {
    my $s = (qw(inline spawn cpu_pool batch drop), '')[$n % 6];
    my $kind = qw(hashmix primecount)[$n % 2];

    my $r = $t->get("/jobs?s=$s&kind=$kind&id=$n&cost=${n}00&scaling=0.25"
                    . ($n % 3 ? '' : '&budget_ms=5000'));

    my $got = $r->status == 200 ? $r->json->{strategy} : 'drop';

    unshift @jobs, [$n, $kind, $n * 100, 0.25, $n % 3 ? undef : 5000, $got];
}

is($t->get('/jobs?kind=hashmix&colour=red')->status, 400, 'an invalid request');

sub decisions {
    my $r = $t->get("/helix/api/decisions?$_[0]");

    return $r->status == 200 ? $r->json : $r->status;
}

sub job { [@{$_[0]}{qw(id kind cost scaling budget_ms strategy)}] }

my $all = decisions('n=1000');

is_deeply([map { job($_) } @$all], \@jobs, 'all decisions, newest first');
is_deeply([map { job($_) } @{decisions('')}], [@jobs[0 .. 49]], '50 of them');
is_deeply(decisions('n=7'), [@$all[0 .. 6]], 'n=7');

for my $d (@$all) {
    my @keys = qw(seq w t id kind cost scaling strategy reason policy pressure
                  busy waiting job_id compute_cost cpu_busy decision_source);

    push @keys, 'budget_ms' if $d->{id} % 3 == 0;

    is_deeply([sort keys %$d], [sort @keys], "keys of $d->{id}");
}

is_deeply([grep { $_->{job_id} != $_->{id} || $_->{compute_cost} != $_->{cost}
                  || $_->{cpu_busy} != $_->{busy}
                  || $_->{decision_source}
                     ne ($_->{strategy} eq 'drop' ? 'drop' : 'heuristic') }
               @$all], [], "the ancestor's names");
cmp_ok(abs($all->[0]{t} - time), '<', 60, 'it is Unix time');
is_deeply([sort { $b <=> $a } map { $_->{t} } @$all], [map { $_->{t} } @$all],
          'by time');
is(scalar(keys %{{ map { ("$_->{w} $_->{seq}" => 1) } @$all }}), 60,
   'names of records');

for my $filter (['strategy=drop', sub { $_[0]{strategy} eq 'drop' }],
                ['strategy=spawn,batch',
                 sub { $_[0]{strategy} =~ /^(spawn|batch)$/ }],
                ['kind=hash_mix', sub { $_[0]{kind} eq 'hashmix' }],
                ['reason=pinned', sub { $_[0]{reason} eq 'pinned' }],
                ['reason=pinned&kind=primecount&strategy=cpu_pool&n=1000',
                 sub { $_[0]{reason} eq 'pinned' && $_[0]{kind} eq 'primecount'
                       && $_[0]{strategy} eq 'cpu_pool' }],
                ['reason=explored', sub { 0 }],
                ['strategy=%64rop', sub { $_[0]{strategy} eq 'drop' }])
{
    my @wanted = grep { $filter->[1]->($_) } @$all;

    splice @wanted, 50 if $filter->[0] !~ /n=/;

    is_deeply(decisions($filter->[0]), \@wanted, $filter->[0]);
}

for my $bad ('n=0', 'n=1001', 'n=', 'n=-1', 'n=1e3', 'n=18446744073709551616',
             'strategy=', 'strategy=inlin', 'strategy=drop,', 'strategy=,',
             'kind=nobody', 'kind=', 'reason=%00', 'reason=why',
             'strategy=%22%0a', 'kind=' . 'x' x 3000)
{
    my $r = $t->get("/helix/api/decisions?$bad");
    my ($field) = $bad =~ /^(\w+)/;

    is($r->status, 400, substr $bad, 0, 40);
    is($r->json->{code}, 'BadField', 'its code');
    is($r->json->{field}, $field, 'its field');
}

is($t->request('HEAD', '/helix/api/decisions')->body, '', 'HEAD');
is($t->post('/helix/api/decisions', '{}')->status, 405, 'POST');
is($t->get('/helix/api/decisions/1')->status, 404, 'nothing below');


# the numbers go on when others take the places of the workers

my %seen = map { ("$_->{w} $_->{seq}" => 1) } @$all;

ok($t->reload, 'reload');

is_deeply(decisions('n=1000'), $all, 'decisions outlive their workers');

for my $n (1 .. 3) {
    ok($t->reload, 'reload again');
    $t->get("/jobs?kind=hashmix&id=$n");
}

my @new = grep { !$seen{"$_->{w} $_->{seq}"} } @{decisions('n=1000')};

is_deeply([map { $_->{id} } @new], [3, 2, 1], 'new ones have new names');
