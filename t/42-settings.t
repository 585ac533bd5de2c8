#!/usr/bin/env perl

# Settings that change while nginx runs: what clients are told, what they may
# change, and what a reload leaves of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;
use Helix;

my $t = Helix->new;

my $template = <<'END_OF_CONF';
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    helix_policy threshold;
    %%TEST_GLOBALS_HTTP%%
    CONF

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs {
            helix_pass;
            helix_explain on;
            helix_job strategy=$arg_s;
        }

        location /hold {
            helix_pass hashmix;
            helix_job strategy=cpu_pool cost=20000000000;
            helix_timeout 10m;
        }

        location /helix {
            helix_status write=on;
        }

        location /closed {
            helix_status;
        }
    }
}
END_OF_CONF

my $given = 'helix_inline_threshold 7000; helix_batch size=4;';

sub conf { return $template =~ s/CONF/$_[0]/r }

$t->conf(conf($given));
$t->start;

my $url = '/helix/api/config';
my $encoder = JSON::PP->new->canonical->allow_bignum->allow_blessed;

sub config { return $t->get($url)->json }

sub patch {
    my ($body, @headers) = @_;

    $body = $encoder->encode($body) if ref $body;

    return $t->request('PATCH', $url, $body,
                       'Content-Type' => 'application/json', @headers);
}

sub replace {
    my ($body, @headers) = @_;

    $body = $encoder->encode($body) if ref $body;

    return $t->request('POST', $url, $body,
                       'Content-Type' => 'application/json', @headers);
}

sub back {
    my ($field, @headers) = @_;

    return $t->request('DELETE', $url . ($field // ''), undef, @headers);
}

sub log_lines { return grep { /\[notice\].*helix: / }
                            split /\n/, $t->read('logs/error.log') }


# what there is

my %initial = (
    inline_threshold => 7000, spawn_threshold => 60000, cpu_parallelism => 8,
    cpu_queue_cap => 512, backpressure_busy_threshold => 7, pool_nice => 5,
    pool_memory_bytes => 536870912, batching => JSON::PP::true,
    batch_max_size => 4, batch_max_delay_ms => 10,
    enable_adaptive_threshold => JSON::PP::true, adaptive_step => 0.1,
    cpu_p95_budget_ms => 200, adaptive_p95_threshold_factor => 1.5,
    ema_alpha => 0.15,
);

my $r = $t->get($url);
my $c = $r->json;

is($r->status, 200, 'GET');
is_deeply($c->{config}, \%initial, 'the settings');
is_deeply({ map { $_ => $c->{$_} } keys %initial }, \%initial,
          'and where the ancestor had them');
is($c->{version}, 1, 'with its version');
is($r->header('ETag'), $c->{etag}, 'the tag');
like($c->{etag}, qr/\A"\d+-$c->{generation}"\z/, 'of epoch and version');
is($c->{origin}{inline_threshold}{source}, 'nginx.conf', 'from nginx.conf');
is($c->{origin}{inline_threshold}{default}, 8000, 'its default');
is($c->{origin}{spawn_threshold}{source}, 'default', 'from nowhere');
ok(!$c->{origin}{pool_nice}{live}, 'nice is not live');
ok($c->{origin}{ema_alpha}{live}, 'alpha is');
is($t->get($url, 'If-None-Match' => $c->{etag})->status, 200,
   'what is in force may have changed');
is($t->get('/helix/api/stats')->json->{config}{generation}, $c->{generation},
   'the version in api/stats');
is($t->stats->{config}{overrides}, 0, 'nothing is different');


# one change, for both workers

$r = patch({ batch_max_size => 16, ema_alpha => 0.5 });

is($r->status, 200, 'PATCH');
is($r->json->{config}{batch_max_size}, 16, 'the answer has it');
isnt($r->header('ETag'), $c->{etag}, 'another tag');

my $tag = $r->header('ETag');

is_deeply([grep { $_->{config}{batch_max_size} != 16
                  || $_->{etag} ne $tag } map { config() } 1 .. 20], [],
          'every worker has it at once');

my $origin = $r->json->{origin}{batch_max_size};

is_deeply([@$origin{qw(source conf default by)}],
          ['runtime', 4, 8, '127.0.0.1'], 'its origin');
like($origin->{at}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/, 'and when');
is($t->stats->{config}{overrides}, 2, 'two are different');
like($t->get('/helix/metrics')->body, qr/^helix_config_overrides\{[^}]*\} 2$/m,
     'for Prometheus too');

my ($line) = grep { /settings changed/ } log_lines();

like($line, qr/settings\ changed\ by\ 127\.0\.0\.1,\ generation\ \d+:
               \ batch_max_size\ 4\ ->\ 16,\ ema_alpha\ 0\.15\ ->\ 0\.5$/x,
     'a line in the log');

is(patch({ batch_max_size => 16 })->header('ETag'), $tag,
   'what is so already is no change');
is(patch('{}')->header('ETag'), $tag, 'neither is nothing');
is(patch({ version => 1 })->header('ETag'), $tag, 'nor the version');


# back again

$r = patch({ ema_alpha => undef });

is_deeply([@{$r->json->{config}}{qw(ema_alpha batch_max_size)}], [0.15, 16],
          'null sets back');
is(back('/batch_max_size')->json->{config}{batch_max_size}, 4,
   'DELETE of one');
is($t->stats->{config}{overrides}, 0, 'nothing is different');
is(back('/batch_max_siz')->status, 404, 'DELETE of an unknown one');
is(back('/batch_max_siz')->json->{did_you_mean}, 'batch_max_size',
   'with what was meant');
is(back('/batch_max_size')->status, 200, 'of one that is as it was');

patch({ ema_alpha => 0.2, cpu_queue_cap => 100 });
$r = replace({ cpu_queue_cap => 200 });
is_deeply([@{$r->json->{config}}{qw(ema_alpha cpu_queue_cap)}], [0.15, 200],
          'POST replaces all');
is_deeply(replace(config()->{config})->json->{config}, $r->json->{config},
          'what GET gives changes nothing');
is($t->stats->{config}{overrides}, 1, 'nor makes it anything an override');
is_deeply(back()->json->{config}, \%initial, 'DELETE of all');


# busy follows the concurrency unless it is given

is(patch({ cpu_parallelism => 4 })->json->{config}{backpressure_busy_threshold},
   4, 'busy follows');
is(patch({ cpu_parallelism => 16 })
       ->json->{config}{backpressure_busy_threshold}, 14, 'upwards too');
is(patch({ backpressure_busy_threshold => 3 })
       ->json->{config}{backpressure_busy_threshold}, 3, 'until it is given');
is(patch({ cpu_parallelism => 5 })->json->{config}{backpressure_busy_threshold},
   3, 'then it stays');
is(patch({ cpu_parallelism => 2 })->json->{code}, 'InvalidConfig',
   'and has to fit');
back();


# all that is wrong, and nothing applied

$r = patch('{"batch_max_siz":16,"ema_alpha":"x","cpu_parallelism":65,'
           . '"inline_threshold":60000,"pool_nice":3,"batching":1,'
           . '"adaptive_step":0,"cpu_queue_cap":1.5,'
           . '"batch_max_delay_ms":-1,"backpressure_busy_threshold":9}');

is($r->status, 422, 'wrong settings');
is($r->json->{code}, 'InvalidConfig', 'the code');
is_deeply({ map { $_->{field} => $_->{rule} } @{$r->json->{errors}} },
          { batch_max_siz => 'unknown', ema_alpha => 'type',
            cpu_parallelism => 'range', inline_threshold => 'order',
            pool_nice => 'directive only', batching => 'type',
            adaptive_step => 'range', cpu_queue_cap => 'type',
            batch_max_delay_ms => 'range',
            backpressure_busy_threshold => 'order' }, 'every rule');
is_deeply([grep { !length $_->{text} || !exists $_->{value} }
                @{$r->json->{errors}}], [], 'each with a sentence and a value');
is((grep { $_->{field} eq 'batch_max_siz' } @{$r->json->{errors}})[0]
       {did_you_mean}, 'batch_max_size', 'and what was meant');
is_deeply(config()->{config}, \%initial, 'nothing is applied');

for (['{"ema_alpha":0.1', 16], ['[1]', 0], ['', 0], ['{"ema_alpha":0.1}x', 17],
     ['{"ema_alpha":0.1,"ema_alpha":0.2}', 18], ['{"a":{"b":[1,}}', 13],
     ['{"ema_alph\u0061":1,"ema_alpha":1}', 21])
{
    my ($body, $offset) = @$_;

    $r = patch($body);

    is_deeply([$r->status, $r->json->{code}, $r->json->{offset}],
              [400, 'BadJson', $offset], "400: $body");
}

is(patch({ cpu_parallelism => 17 })->json->{errors}[0]{rule}, 'threads',
   'more than there are threads');
is(patch({ cpu_parallelism => 'auto' })->status, 200, 'auto');
is(patch({ backpressure_busy_threshold => 'off' })
       ->json->{config}{backpressure_busy_threshold}, 0, 'off');
is(back()->status, 200, 'back');
is(patch({ pool_nice => 5 })->status, 200, 'nice as it is');


# conditions

$tag = config()->{etag};

my ($epoch, $version) = $tag =~ /"(\d+)-(\d+)"/;

for ([$tag, 200], ['*', 200], ['"x"', 412], ["W/$tag", 412], ['x', 412],
     ['"x", CURRENT', 200], ['"x",W/"y",CURRENT , "z"', 200], ['', 412],
     ['"1-' . $version . '"', 412], [$tag, 412], ['"' . $epoch . '-1"', 412],
     ['"' . $epoch, 412])
{
    my ($if, $status) = @$_;
    my $before = config();

    $if =~ s/CURRENT/$before->{etag}/;

    my $value = $before->{config}{cpu_queue_cap} + 1;

    $r = patch({ cpu_queue_cap => $value }, 'If-Match' => $if);
    is($r->status, $status, "If-Match: $if");
    is(config()->{config}{cpu_queue_cap}, $status == 200 ? $value : $value - 1,
       'as it says');
    is($r->json->{etag}, config()->{etag}, 'with the tag');
    is($r->json->{code}, 'Stale', 'the code') if $status == 412;
}

back();


# paths and methods

is($t->get("$url/ema_alpha")->status, 404, 'GET of one');
is($t->request('PATCH', "$url/ema_alpha", '1',
               'Content-Type' => 'application/json')->status, 405,
   'PATCH of one');
is($t->request('PUT', $url, '{}')->status, 405, 'PUT');
is($t->request('PATCH', '/closed/api/config', '{}',
               'Content-Type' => 'application/json')->json->{code},
   'WriteDisabled', 'where nothing may be changed');
is($t->request('HEAD', $url)->status, 200, 'HEAD');


# what has been changed

patch({ ema_alpha => 0.3 });

for my $i (1 .. 20) {
    patch({ cpu_queue_cap => 600 + $i });
}

my @history = @{$t->get("$url?history=1")->json->{history}};

is(scalar @history, 16, 'sixteen changes');
is_deeply([map { $_->{changed}{cpu_queue_cap} } @history],
          [map { [599 + $_, 600 + $_] } reverse 5 .. 20], 'newest first');
is_deeply([@{$history[0]}{qw(source by generation)}],
          ['runtime', '127.0.0.1', config()->{generation}], 'who and when');


# as directives

my $text = $t->get("$url?format=nginx")->body;

like($text, qr/^helix_pool .*queue=620 /m, 'as directives');
like($text, qr/^helix_adapt .*alpha=0\.3;$/m, 'all of them');

my $before = config()->{config};

is(($t->nginx_t(conf($text)))[0], 0, 'nginx takes them');

$t->conf(conf($text));
ok($t->reload, 'reload');
is_deeply(config()->{config}, $before, 'the same settings');
is($t->stats->{config}{overrides}, 0, 'without overrides');


# workers of an older configuration go by the newest settings, and undo nothing

$t->conf(conf('helix_pool threads=8 concurrency=1 busy=off;'));
ok($t->reload, 'reload');
back();

my @held = map { my $c = $t->connect;
                 $c->send(Helix::message('GET', '/hold')); $c } 1 .. 6;
my $old = $t->connect;

$t->wait_for(sub { $t->stats->{in_flight} == 6 }, 'six jobs');
$old->send(Helix::message('GET', '/helix/api/config'));
is($old->recv->status, 200, 'a connection to an old worker');

$t->conf(conf('helix_pool threads=8 concurrency=2 busy=off;'));
$t->signal('HUP');
ok($t->wait_for(sub { my $s = $t->stats;
                      $s->{pool}{concurrency} == 2 && $s->{pool}{busy} == 2 },
                'two'), 'jobs of the old workers go by the new concurrency');
patch({ cpu_parallelism => 5 });
ok($t->wait_for(sub { $t->stats->{pool}{busy} == 5 }, 'five'),
   'and by what is set at run time');

my $held = config();

is("$held->{config}{cpu_parallelism} $held->{origin}{cpu_parallelism}{conf}",
   '5 2', 'as the new workers say');

undef @held;
undef $old;
ok($t->wait_for(sub { my $s = $t->stats;
                      @{$s->{workers}} == 2 && $s->{in_flight} == 0 },
                'the old ones'), 'the old ones leave');
is(config()->{config}{cpu_parallelism}, 5, 'nothing is undone');
is($t->stats->{pool}{busy}, 0, 'nothing is busy');
back();


# reload: what is set at run time stays unless its parameter changes

$t->conf(conf($given));
ok($t->reload, 'reload');
is_deeply(config()->{config}, \%initial, 'as it began');

patch({ batch_max_size => 16, ema_alpha => 0.3, spawn_threshold => 50000,
        cpu_parallelism => 4 });

ok($t->reload, 'reload of the same');
is_deeply([@{config()->{config}}{qw(batch_max_size ema_alpha spawn_threshold
                                    cpu_parallelism)}],
          [16, 0.3, 50000, 4], 'all is kept');
is($t->stats->{config}{overrides}, 4, 'what follows another is none');
ok(scalar(grep { /batch_max_size 16, set at run time, is kept/ } log_lines()),
   'the log says so');

$t->conf(conf('helix_inline_threshold 7000; helix_batch size=5;
               helix_adapt on step=0.2;'));
ok($t->reload, 'reload with another size');
is_deeply([@{config()->{config}}{qw(batch_max_size ema_alpha adaptive_step
                                    spawn_threshold)}],
          [5, 0.3, 0.2, 50000], 'nginx.conf wins where it changed');
ok(scalar(grep { /batch_max_size 16, set at run time, is dropped/ }
               log_lines()), 'the log says so');

$t->conf(conf('helix_inline_threshold 55000;'));
ok($t->reload, 'reload with what does not go with an override');
is_deeply([@{config()->{config}}{qw(inline_threshold spawn_threshold
                                    ema_alpha)}],
          [55000, 60000, 0.3], 'which goes');
ok(scalar(grep { /spawn_threshold 50000, set at run time, is dropped/ }
               log_lines()), 'the log says so');
