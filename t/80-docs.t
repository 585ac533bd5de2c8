#!/usr/bin/env perl

# README.md, docs/ and conf/examples/ against the code: what is there is
# documented, what is documented is there, and what can be run runs.

use strict;
use warnings;

use File::Basename;
use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Test::More;
use Helix;

chdir "$FindBin::Bin/.." or die;

my $t = Helix->new;

my %doc = map { m|([^/]+)\z|, slurp($_) } 'README.md', glob 'docs/*.md';

my $module = slurp('src/ngx_http_helix_module.c');
my $router = slurp('src/ngx_http_helix_conf.c');
my $request = slurp('src/ngx_http_helix_loc_conf.c');
my $status_conf = slurp('src/ngx_http_helix_status_conf.c');
my $kind_conf = slurp('src/ngx_http_helix_kind_conf.c');
my $settings = slurp('src/policy/helix_settings.c');
my $strategy = slurp('src/base/helix_strategy.c');
my $counts = slurp('src/state/ngx_helix_counts.c');
my $response = join '', map { slurp("src/http/ngx_http_helix_$_.c") }
                    qw(response result);
my $variables = slurp('src/http/ngx_http_helix_variables.c');
my $http = join '', map { slurp($_) } glob 'src/http/*.c';


# directives

my %command = $module =~ /\{\s*ngx_string\("(\w+)"\),\s*([A-Z0-9_|\s]+?),/g;

my %section = sections($doc{'directives.md'}, 2);

delete @section{grep { !/^helix_/ } keys %section};

ok(keys %command > 10, 'directives are found');
same([keys %command], [keys %section], 'directives');

for my $name (sort keys %command) {
    my @context = map { $command{$name} =~ /\bNGX_HTTP_$_->[0]\b/ ? $_->[1]
                                                                  : () }
                  [MAIN_CONF => 'http'], [SRV_CONF => 'server'],
                  [LOC_CONF => 'location'], [LIF_CONF => 'if in location'];
    my $text = $section{$name} // '';

    like($text, qr/^Syntax: +$name\b/m, "$name: syntax");
    like($text, qr/^Default: +(?:$name\b|-$)/m, "$name: default");
    like($text, qr/^Context: +\Q${\join ', ', @context}\E$/m,
         "$name: context");
    like($text, qr/^Appeared in version \d+\.\d+\.\d+\.$/m,
         "$name: appeared in");
    like($text, qr/^```nginx\n[^`]*\b$name\b/m, "$name: example");
    like($doc{'directives.md'}, qr/\[$name\]\(#$name\) \|/, "$name: index");
    like($doc{'changelog.md'}, qr/\b$name\b/, "$name: changelog");
}

my ($version) = slurp('src/http/ngx_http_helix.h')
                =~ /NGX_HTTP_HELIX_VERSION\s+"([^"]+)"/;

like($doc{'changelog.md'}, qr/^Changes with helix \Q$version\E\b/m,
     'changelog: the version');


# settings

my %constant = map { slurp($_) =~ /^#define\s+(\w+)\s+([\d.]+)/mg }
               'src/policy/helix_settings.c', 'src/policy/helix_settings.h';

my %parameter;
my $rows = 0;

while ($settings =~ /\{ \s* "(\w+)", \s* "(\w+)", \s* (NULL|"\w+"), \s*
                     HELIX_SETTING_(\w+), \s* ([\w|]+), \s*
                     offsetof\([^)]*\), \s*
                     ([\w.]+), \s* ([\w.]+), \s* ([\w.]+), \s*
                     (true|false) \s* \}/xg)
{
    my ($name, $directive, $parameter, $type, $flags, $above)
        = ($1, $2, $3, $4, $5, $9);
    my ($initial, $min, $max) = map { show($type, $constant{$_} // $_) }
                                $6, $7, $8;

    $rows++;

    if ($type eq 'FLAG') {
        my $default = $initial ? 'on' : 'off';

        $parameter{$directive}{on} = $parameter{$directive}{off} = 1;
        row($directive, "`on`, `off` | $default | |", $name);
        like($section{$directive}, qr/^Default: +$directive $default\b/m,
             "$name: default");
        next;
    }

    # the number in its row is only an example

    $initial = 'as `concurrency`' if $name eq 'pool_threads';

    my $range = $above eq 'true' ? "above $min, at most $max" : "$min-$max";

    $range .= ' or `auto`' if $flags =~ /AUTO/;
    $range .= ' or `off`' if $flags =~ /OFF/;

    $parameter =~ tr/"//d;

    my $as = $parameter eq 'NULL' ? 'number' : $parameter;
    my $given = $parameter eq 'NULL' ? $initial : "$parameter=$initial";

    $parameter{$directive}{$as} = 1;
    row($directive, "`$as` | $initial | $range |", $name);
    next if $name eq 'pool_threads';

    like($section{$directive},
         qr/^Default: +$directive\b.* \Q$given\E(?: |;)/m, "$name: default");
}

is($rows, () = $settings =~ /\bHELIX_SETTING_\w+,\s*[\w|]+,\s*offsetof/g,
   'all settings are found');

$parameter{helix_zone}{state} = 1 if $router =~ /"state="/;
$parameter{helix_pool}{threads} = 1 if $router =~ /"threads="/;

for ([helix_kind => $kind_conf], [helix_job => $request],
     [helix_status => $status_conf])
{
    my ($directive, $source) = @$_;
    my ($names) = $source =~ /(?:\bnames|_options)\[\] = \{(.*?)\}/s;

    $parameter{$directive}{$_} = 1 for ($names // '') =~ /"(\w+)="/g;
}

for my $directive (sort keys %section) {
    same([keys %{$parameter{$directive} || {}}],
         [names($section{$directive}, 'parameter')],
         "$directive: parameters");
}

my ($formats) = $status_conf =~ /\bformats\[\] = \{(.*?)\}/s;

is(($section{helix_status} =~ /^Syntax: +helix_status \[(.*?)\];/m)[0],
   join(' | ', $formats =~ /"(\w+)"/g), 'helix_status: formats');

my %limit = map { slurp($_) =~ /^#define\s+HELIX_(HASHMIX_MAX|PC_WORK|MC_MAX)
                                \s+(\d+)ULL/mxg } glob 'src/kinds/*.c';

like($section{helix_kind}, qr/\b$limit{$_}\b/, "helix_kind: $_")
    for sort keys %limit;


# tokens

my %list = $strategy =~ /helix_(\w+)_names\[.*?\{(.*?)NULL/sg;
my %policy = sections($doc{'policy.md'}, 2);

same([$list{strategy} =~ /"(\w+)"/g], [names($policy{Strategies}, 'strategy')],
     'strategies');
same([$list{reason} =~ /"(\w+)"/g], [names($policy{Reasons}, 'reason')],
     'reasons');


# problems

my %errors = sections($doc{'errors.md'}, 2);
my ($invalid) = $counts =~ /ngx_helix_invalid_names\[.*?\{(.*?)NULL/s;

same([$invalid =~ /"(\w+)"/g,
      $http =~ /\bcode = "(\w+)"/g,
      $http =~ /_send_error\(r, NGX_HTTP_\w+,\s+"(\w+)"/g,
      $http =~ /_send_busy\(r, "(\w+)"/g],
     [$errors{'Problem codes'} =~ /^### (\w+)$/mg], 'problem codes');

my %api = sections($doc{'api.md'}, 2);

same([$response =~ /helix_json_key\(&?json, "(\w+)"\)/g,
      $response =~ /_write_text\(json, "(\w+)"/g],
     [map { names($api{$_}, 'member') } qw(Answers Problems)],
     'members of answers and problems');

same([$http =~ /add_header\(r, "([\w-]+)"/g],
     [names($api{Headers}, 'header', qr/[\w-]+/)], 'headers');

my ($fields) = slurp('src/http/ngx_http_helix_field.c')
               =~ /ngx_http_helix_fields\[\w+\] =\s*\{(.*?)\n\};/s;
my @field = map { { name => $_->[0], short => $_->[1] } }
            grep { $_->[2] } map { [/"(\w+)", "(\w+)", (\d), \d,/] }
            split /\n\n/, $fields;

same([map { ($_->{name}, $_->{short}) } @field],
     [map { /`(\w+)`/g } map { join '|', (split /\|/)[1, 2] }
      grep { /^\| `/ } split /\n/, ($api{Fields} =~ /(.*?)\n\n[^|]/s)[0]],
     'fields of a job');


# variables

my @variables = map { "\$$_" } $variables =~ /\{\s*ngx_string\("(\w+)"\)/g;
my %record = sections($doc{'variables.md'}, 2);
my ($results) = $variables =~ /_results\[\] = \{(.*?)\}/s;

ok(@variables > 10, 'variables are found');
same(\@variables, [names($doc{'variables.md'}, 'variable', qr/\$\w+/)],
     'variables');
same(\@variables, [$doc{'changelog.md'} =~ /\$\w+/g], 'variables: changelog');

same([grep { $_ ne 'NONE' } $results =~ /"(\w+)"/g],
     [names($record{Results}, 'value')], 'results');
same([$variables =~ /helix_json_key\(json, "(\w+)"\)/g],
     [names($record{'A record of each job'}, 'member')],
     'members of $helix_json');

for my $name (sort keys %doc) {
    my %known = map { $_ => 1 } @variables;

    # those that the examples make themselves

    $known{$1} = 1
        while $doc{$name} =~ /^ *map \S+ (\$helix_\w+) \{/mg;

    is(join(' ', grep { !$known{$_} } $doc{$name} =~ /\$helix_\w+\b/g), '',
       "$name: variables that are there");
}


# messages

my @messages = messages(glob("src/*.c src/{policy,state,http}/*.c"),
                        "src/exec/ngx_helix_saver.c");
my @lines = map { split /\n/ } map { $_->{text} }
            grep { $_->{lang} eq 'text' } blocks($doc{'errors.md'});

ok(@messages > 20, 'messages are found');

for my $message (@messages) {
    ok(scalar(grep { $_ =~ $message->{re} } @lines),
       "message: $message->{text}");
}

my ($ours) = map { $errors{$_} } grep { /to nginx -t/ } keys %errors;

for my $line (map { split /\n/, $_->{text} } blocks($ours)) {
    ok(scalar(grep { $line =~ $_->{re} } @messages)
       || $line =~ /^value must be between |must be from 1ms to 24h/,
       "documented message: $line");
}


# metrics

my $table = slurp('src/http/ngx_http_helix_metrics.c');
my %books = sections($api{Status}, 3);
my %metric;

while ($table =~ /\{ \s* "(\w+)", \s* ((?:NGX_HTTP_HELIX_\w+\s*\|?)+), \s*/xg) {
    my ($name, $scopes) = ($1, $2);

    $metric{$name} = $scopes =~ /_ALL/
        ? 'all, kind, strategy'
        : join ', ', map { $scopes =~ /_$_->[0]\b/ ? $_->[1] : () }
                     [TOTAL => 'all'], [BY_KIND => 'kind'],
                     [BY_LANE => 'strategy'];
}

ok(keys %metric > 10, 'metrics are found');
same([keys %metric], [names($books{'The books'}, 'key')], 'metrics');

like($books{'The books'}, qr/^\| `$_` \| $metric{$_} \| \S/m, "$_: scopes")
    for sort keys %metric;

my @quantiles = $table =~ /^ +\{ "(\w+)", [\d.e-]+ \},?$/mg;

# the explanation

my $explain = slurp('src/http/ngx_http_helix_explain.c');
my $verdicts = $api{Explain} =~ s/\n/ /gr;

for my $key ($explain =~ /(?:_key|_ms)\(json, "(\w+)"/g) {
    like($api{Explain}, qr/`$key`/, "explain: $key");
}

my ($list) = join('', map { slurp($_) } glob 'src/policy/*.c')
             =~ /helix_lane_verdicts\[[^;]*?\{(.*?)NULL/s;

ok($list, 'verdicts are found');
like($verdicts, qr/`$_`/, "verdict: $_") for ($list // '') =~ /"([^"]+)"/g;


# histograms and paths

same(['count', @quantiles, 'ema', 'window'],
     [names($books{'api/stats'}, 'member')],
     'members of a histogram');

my @paths = slurp('src/http/ngx_http_helix_status.c')
            =~ m|\{\s*ngx_string\("(/[^"]*)"\)|g;

push @paths, slurp('src/http/ngx_http_helix_asset.c')
             =~ m|\{\s*ngx_string\("(/[^"]*)"\)|g;

same(\@paths, [names($api{Status}, 'path', qr/[^`]+/)], 'paths of the status');


# every configuration

my %test = map { m|([^/]+)\z|, slurp($_) } glob 'conf/examples/*.conf';

for my $name (sort keys %test) {
    good($test{$name}, "conf/examples/$name");
}

like($doc{'README.md'}, qr/\| `$_` \|/, "$_ is in README.md")
    for sort keys %test;

ok(index($doc{'README.md'}, "```nginx\n$test{'minimal.conf'}```") > 0,
   'README.md has minimal.conf');

for my $name (sort keys %doc) {
    my $n = 0;

    for my $block (grep { $_->{lang} eq 'nginx' } blocks($doc{$name})) {
        $n++;
        good($block->{text}, "$name: configuration $n");
    }
}


# what nginx itself says, where it can be made to say it

for (['helix_pas;', '', 'unknown directive'],
     ['', 'helix_batch size=4;', 'directive is not allowed here'],
     ['helix_batch;', '', 'invalid number of arguments'],
     ['helix_policy threshold; helix_policy threshold;', '',
      'directive is duplicate'],
     ['helix_pool compute threads=4;', '', 'duplicate thread pool',
      'thread_pool compute threads=4;'],
     ['helix_zone a; limit_req_zone $host zone=a:1m rate=1r/s;', '',
      'shared memory zone is already declared'])
{
    my ($inside, $server, $heading, $main) = @$_;
    my ($code, $out) = no_leak_check(whole($inside, "$server location /jobs { "
                                                    . 'helix_pass; }', $main));

    # the zone's name stands within the heading

    my $re = join '.*', map { quotemeta } split /(?<=zone) /, $heading;

    isnt($code, 0, "nginx -t refuses: $heading");
    like($out, qr/$re/, "nginx says: $heading");
    like($doc{'errors.md'}, qr/^### \Q$heading\E$/m,
         "errors.md has: $heading");
}

my ($code, $out) = no_leak_check("events {\n}\nload_module x.so;\n"
                                 . "%%TEST_GLOBALS%%\n");

like($out, qr/"load_module" directive is specified too late/,
     'nginx says: is specified too late');

($code, $out) = no_leak_check("load_module %%DIR%%/x.so;\nevents {\n}\n"
                              . "pid %%DIR%%/p;\n");

like($out, qr/dlopen\(\) ".*" failed \(/, 'nginx says: dlopen() failed');


# tests that are named

for my $name (sort keys %doc) {
    ok(-e $_, "$name: $_")
        for $doc{$name} =~ m{`(t/[\w./-]*[\w-]/?)(?= |`)}g;
}


# links

my %page = map { m|docs/(.*)|, slurp($_) } glob 'docs/kinds/*.md';

for my $name (sort keys %doc, keys %page) {
    my $folder = $name eq 'README.md' ? '.' : 'docs';
    my $text = $doc{$name} // $page{$name};

    while ($text =~ /\]\(([^)#:]*)(?:#([^)]+))?\)/g) {
        my ($file, $anchor) = ($1, $2);
        my $from = dirname("$folder/$name");
        my $path = $file eq '' ? "$folder/$name" : "$from/$file";

        ok(-e $path, "$name: link to $path");

        next if !defined $anchor;

        ok(scalar(grep { $_ eq $anchor } anchors(slurp($path))),
           "$name: link to $path#$anchor");
    }
}


# the status of a server that runs

my $conf = complete($test{'seed.conf'});

$conf =~ s|^http \{\n\K|<<'END'|em;
    log_format record escape=none '$helix_json';
    access_log %%DIR%%/logs/record.log record;
END

$conf =~ s|(?=\n +location /helix)|<<'END'|e;

        location /drop {
            helix_pass;
            helix_job strategy=drop;
        }
END

$t->conf($conf);
$t->start;

# the record of the job whose record is shown, before all others

my ($job) = $doc{'variables.md'} =~ m|:8080(/jobs\?\S+)'|;
my ($line) = map { JSON::PP->new->decode($_->{text}) }
             grep { $_->{text} =~ /^\{"t":/ } blocks($doc{'variables.md'});

is($t->get($job)->status, 200, 'the job whose record is shown');

my $written = $t->wait_for(sub {
    ($t->read('logs/record.log') =~ /^(\{.*\})\n/)[0];
}, 'its record');

my @same = grep { !/^(?:t|pressure|\w+_ms)$/ } keys %$line;

same([keys %{JSON::PP->new->decode($written)}], [keys %$line],
     'members of the record');
is_deeply([map { JSON::PP->new->decode($written)->{$_} } @same],
          [map { $line->{$_} } @same], 'the record');

$t->get("/jobs?kind=hashmix$_")
    for qw(&cost=1 &cost=10000 &cost=100000 &cost=100000&scaling=0.8 &id=x);

is($t->get('/jobs?kind=x')->status, 422, 'an unknown kind');
is($t->get('/drop?kind=hashmix')->status, 503, 'a dropped job');

my @histogram = sort 'count', @quantiles;
my %documented = map { $_ => 1 } names($books{'api/stats'}, 'key',
                                       qr/[\w.*\[\]]+/);
my %there;

walk('', JSON::PP->new->decode($t->get('/helix/api/stats')->body));

same([keys %there], [keys %documented], 'keys of api/stats');
is($t->get("/helix$_")->status, 200, "GET $_")
    for '', grep { !m{^/api/(?:explain|reset|simulate|stream/decisions)\z} }
                 @paths;
is($t->request('HEAD', '/helix/api/stream/decisions')->status, 200,
   'HEAD /api/stream/decisions');
is($t->post('/helix/api/explain', '{"kind":"hashmix"}')->status, 200,
   'POST /api/explain');



# what the pages of the kinds say of parameters and levels

for my $file (sort keys %page) {
    my ($kind) = $file =~ m|kinds/(\w+)\.md|;
    my $source = join '', map { slurp($_) } glob("src/kinds/helix_$kind*.c"),
                          glob "src/kinds/$kind/*.c";

    my ($table) = $source =~ /helix_param_t +\w+\[\] = \{(.*?)^\};/ms;
    my ($levels) = $source =~ /\*const +\w*levels\[\] = \{(.*?)\};/s;

    for my $name (($table // '') =~ /\{ "(\w+)", HELIX_PARAM/g,
                  ($levels // '') =~ /"(\w+)"/g)
    {
        like($page{$file}, qr/`$name`/, "$file: $name");
    }
}


# Prometheus: type and labels of each family, and the queries

my $metrics = $t->get('/helix/metrics')->body;
my %family = map { /^(\w+) (\w+)/ ? ($1 => { type => $2 }) : () }
             split /^# TYPE /m, $metrics;

while ($metrics =~ /^(helix_\w+?)(?:_(?:bucket|sum|count))?\{(.*?)\} /mg) {
    my ($name, $labels) = ($1, $2);

    $family{$name}{labels} //= join ', ', grep { !/^(?:zone|le)$/ }
                                          $labels =~ /(\w+)="/g;
    like($labels, qr/^zone="seed"/, "$name: zone")
        if $name ne 'helix_build_info' && !$family{$name}{zone}++;
}

same([keys %family], [names($doc{'metrics.md'}, 'family')],
     'families of Prometheus');

for my $name (sort keys %family) {
    my ($type, $labels) = $doc{'metrics.md'}
                          =~ /^\| `$name` \| (\w+) \| ([^|]*?) *\| \S/m;

    is($type, $family{$name}{type}, "$name: type");
    is($labels, $family{$name}{labels}, "$name: labels");
}

my $series = () = $metrics =~ /^helix_/mg;
my $kinds = () = $metrics =~ /^helix_exec_duration_seconds_count\{/mg;
my ($shown) = map { $_->{text} } grep { $_->{text} =~ /^\d+\n\z/ }
              blocks($doc{'metrics.md'});
my ($base, $each, $levels) = $doc{'metrics.md'}
    =~ /These are (\d+), and (\d+) for each .* each of their (\d+)\s+levels/s;

is("$shown", "$series\n", 'number of series');
is($base + $each * $kinds + $levels, $series, 'what they are made of');
is($levels, () = $metrics =~ /,level="/g, 'levels');
is($each, () = $metrics =~ /kind="hashmix"/g, 'those of a kind');

my @promql = blocks($doc{'metrics.md'});
my @yaml = map { $_->{text} } grep { $_->{lang} eq 'yaml' } @promql;
my %promql = map { $_->{text} => 1 } grep { $_->{lang} eq 'promql' } @promql;

cmp_ok(scalar(keys %promql), '>=', 10, 'queries are found');

for my $text (@yaml, sort keys %promql) {
    my %there = map { $_ => 1 }
                map { $family{$_}{type} eq 'histogram'
                      ? map { my $f = $_; map { "${f}_$_" }
                              qw(bucket sum count) } $_
                      : $_ } keys %family;

    is(join(' ', grep { !$there{$_} } $text =~ /\bhelix_\w+/g), '',
       'families of ' . (split /\n/, $text)[0]);
}

SKIP: {
    my $promtool = (grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH})[0];

    skip 'no promtool', 1 if !$promtool;

    my $n = 0;
    my $rules = "groups:\n- name: queries\n  rules:\n" . join '', map {
        "  - record: query:" . ++$n . "\n    expr: |\n" . s/^/      /mgr
    } sort keys %promql;

    for ([rules => $rules], map { [/^groups:/ ? 'rules' : 'config', $_] } @yaml)
    {
        my ($what, $text) = @$_;
        my $file = $t->write("$what.yml", $text);
        my $out = `$promtool check $what $file 2>&1`;

        is($?, 0, "promtool check $what") or diag($out, $text);
    }
}


# commands: of the shell blocks, those that can be run here.  Cloning and the
# tests themselves are not.

SKIP: {
    skip 'the commands run Debian\'s nginx', 1
        if ($ENV{TEST_NGINX_MODULE} // '-') eq '' || $ENV{TEST_WRAP};

    my $port = $t->port(1);

    local $ENV{HELIX_PORT} = $port;
    local $ENV{HELIX_DIR} = $t->dir . '/quickstart';
    local $ENV{no_proxy} = '*';

    my @commands = map { commands($_) } sort keys %doc;

    my ($start) = grep { $_->{text} eq 'conf/quickstart' } @commands;
    my ($stop) = grep { $_->{text} eq 'conf/quickstart stop' } @commands;
    my @rest = grep { $_->{text} !~ m|^conf/quickstart\b| } @commands;

    for my $command ($start, @rest, $stop) {
        if ($command->{text} =~ m{^(?:git clone|t/run)\b}) {
            note("not run: $command->{text}");
            next;
        }

        (my $line = $command->{text}) =~ s/\b8080\b/$port/g;
        $line =~ s/^curl /curl -sS /;

        my $out = qx(bash -c \Q$line\E 2>&1 < /dev/null);

        is($? >> 8, 0, "$command->{doc}: $command->{text}") or diag($out);

        is(shape($out), shape($command->{output} =~ s/\b8080\b/$port/gr),
           "$command->{doc}: $command->{text}: output")
            if defined $command->{output};
    }
}

# the first command that failed may have left it

END {
    my $status = $?;

    if ($t && -e $t->dir . '/quickstart/nginx.pid') {
        local $ENV{HELIX_DIR} = $t->dir . '/quickstart';
        system('conf/quickstart stop > /dev/null 2>&1');
    }

    $? = $status;
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<:encoding(UTF-8)', $path or die "$path: $!";
    local $/;

    return scalar <$fh>;
}


# Sets, with what is only on one side.

sub same {
    my ($code, $documented, $name) = @_;

    my %code = map { $_ => 1 } @$code;
    my %doc = map { $_ => 1 } @$documented;

    is(join(' ', sort grep { !$doc{$_} } keys %code), '',
       "$name: all are documented");
    is(join(' ', sort grep { !$code{$_} } keys %doc), '',
       "$name: all that are documented are there");
}


# The text below each heading of a level.

sub sections {
    my ($text, $level) = @_;

    my (undef, @part) = split /^#{$level} (.*)\n/m, $text // '';

    return @part;
}


sub anchors {
    my ($text) = @_;

    return map { my $s = lc; $s =~ s/[^\w\- ]//g; $s =~ tr/ /-/; $s }
           $text =~ /^#+ (.*)$/mg;
}


sub blocks {
    my ($text) = @_;

    my @blocks;

    while ($text =~ /^```(\w+)\n(.*?)^```$/msg) {
        push @blocks, { lang => $1, text => $2, start => $-[0],
                        end => $+[0] };
    }

    return @blocks;
}


# The names in the first column of tables with this heading.

sub names {
    my ($text, $heading, $pattern) = @_;

    my @names;
    my $in = 0;

    $pattern //= qr/\w+/;

    for my $line (split /\n/, $text // '') {
        my ($cell) = $line =~ /^\| *(.*?) *\|/;

        if (!defined $cell) {
            $in = 0;
        } elsif ($cell eq $heading) {
            $in = 1;
        } elsif ($in) {
            push @names, $cell =~ /`($pattern)`/g;
        }
    }

    return @names;
}


sub row {
    my ($directive, $cells, $name) = @_;

    ok(index($section{$directive} // '', "\n| $cells") > 0,
       "$name: $directive has | $cells");
}


# As helix_setting_print() does.

sub show {
    my ($type, $value) = @_;

    $value =~ s/\.0*\z//;

    if ($type eq 'SIZE') {
        my $unit = '';

        for (qw(k m g)) {
            last if $value % 1024;
            ($value, $unit) = ($value / 1024, $_);
        }

        return "$value$unit";
    }

    return $value =~ /\./ ? $value + 0 : $value if $type ne 'TIME';

    for (['h', 3600000], ['m', 60000], ['s', 1000]) {
        return $value / $_->[1] . $_->[0] if $value % $_->[1] == 0;
    }

    return $value . 'ms';
}


# The formats of what goes to the log, as patterns.

sub messages {
    my @messages;

    for my $text (map { slurp($_) } @_) {
        $text =~ s/%"\s*PRIu64\s*"/%llu/g;
        $text =~ s/%"\s*PRIu64/%llu"/g;

        while ($text =~ /\b(?: ngx_(?:conf_)?log_error\( \s* NGX_LOG_\w+
                             | snprintf\( error )
                         , [^"]*? ( (?: "(?:\\.|[^"\\])*" \s* )+ )/xg)
        {
            my $format = join '', $1 =~ /"((?:\\.|[^"\\])*)"/g;
            $format =~ s/\\(.)/$1/g;

            my @part = split /%(?:\.\d+)?(?:llu|u[iLDdz]|[a-zA-Z])/, $format,
                             -1;

            next if join('', @part) !~ /\w{4}/;
            next if $format =~ /^unknown directive/;

            $format =~ s/%d kinds/32 kinds/;
            my $re = join '.*', map { quotemeta } @part;

            push @messages, { text => $format, re => qr/^$re/ };
        }
    }

    return @messages;
}


# Configurations: complete ones with the harness' globals, parts of one in the
# context that their first directive needs.

sub complete {
    my ($text) = @_;

    $text =~ s/^load_module .*$/%%TEST_GLOBALS%%/m
        or $text = "%%TEST_GLOBALS%%\n$text";
    $text =~ s/^http \{/http {\n%%TEST_GLOBALS_HTTP%%\n/m;
    $text =~ s|/var/log/nginx/|%%DIR%%/logs/|g;
    $text =~ s/(\blisten +)(?:127\.0\.0\.1:)?80\d\d/${1}127.0.0.1:%%PORT_0%%/g;

    return $text;
}


sub whole {
    my ($inside, $server, $main) = @_;

    return "%%TEST_GLOBALS%%\n" . ($main // '') . "events {\n}\nhttp {\n"
           . "%%TEST_GLOBALS_HTTP%%\n$inside\nserver {\n"
           . "listen 127.0.0.1:%%PORT_0%%;\n$server\n}\n}\n";
}


sub good {
    my ($text, $name) = @_;

    my ($first) = $text =~ /^\s*(\w+)/;
    my $flags = $command{$first // ''} // '';

    my $conf = $text =~ /^http\b/m ? complete($text)
             : $flags eq ''        ? whole('', $text)
             : $flags !~ /LOC_CONF/
                                   ? whole($text, 'location /j { helix_pass; }')
             : whole('', 'location /j {' . ($text =~ /helix_(?:pass|status)/
                                            ? '' : 'helix_pass; ')
                         . "$text}");

    # nginx frees no regular expression of a configuration it only tests

    my ($code, $out) = $conf =~ /^\s*~/m ? no_leak_check($conf)
                                         : $t->nginx_t($conf);

    is($code, 0, $name) or diag($out, $conf);
}


# nginx frees nothing when it refuses a configuration, with or without helix:
# leaks are looked for where it accepts one.

sub no_leak_check {
    my ($conf) = @_;

    local $ENV{TEST_ASAN_OPTIONS} = ($ENV{TEST_ASAN_OPTIONS} // '')
                                    . ':detect_leaks=0';

    return $t->nginx_t($conf);
}


# The paths of all keys; names of strategies, kinds, reasons and codes are *.

sub walk {
    my ($path, $node) = @_;

    if (ref $node eq 'ARRAY') {
        $there{"$path\[]"} = 1 if !@$node;
        walk("$path\[]", $_) for @$node;
        return;
    }

    if (ref $node ne 'HASH') {
        return if $metric{$path =~ s/^(?:strategies|kinds)\.\*\.//r};
        $there{$path} = 1;
        return;
    }

    if ($path =~ /_ms$/) {
        is(join(' ', sort keys %$node),
           join(' ', sort @histogram,
                     $path =~ /latency_ms$/ ? qw(ema window) : ()),
           "members of $path")
            if !$there{$path}++;
        return;
    }

    for my $key (keys %$node) {
        my $name = $path =~ /^(?:strategies|kinds|kinds\.\*\.levels|\w+_by_\w+)$/
                   ? '*' : $key;

        walk($path eq '' ? $name : "$path.$name", $node->{$key});
    }
}


# The lines of the shell blocks of a document, with the output that is shown:
# the next block, if there is no heading and no command between them.

sub commands {
    my ($name) = @_;

    my @commands;
    my $last;

    for my $block (blocks($doc{$name})) {
        if ($block->{lang} eq 'sh') {
            push @commands, map { { doc => $name, text => $_ } }
                            split /\n/, $block->{text};
            $last = $block->{end};

        } elsif (defined $last && $block->{lang} =~ /^(?:json|text)$/
                 && substr($doc{$name}, $last, $block->{start} - $last)
                    !~ /^#/m)
        {
            $commands[-1]{output} = $block->{text};
            undef $last;

        } else {
            undef $last;
        }
    }

    return @commands;
}


# What differs from run to run becomes N.

sub shape {
    my ($text) = @_;

    return $text =~ s/("\w+_ms":)[\d.]+/$1N/gr if $text =~ /^\{/;

    # what needs attention is of the moment

    $text =~ s/^! .*\n//mg;

    $text =~ s/\b(?:ok|busy|shedding)\b/S/;
    $text =~ s/\d+d\d\d:\d\d:\d\d/N/g;
    $text =~ s/\d[\d.]*(?:%|ms)?/N/g;
    $text =~ s/ +/ /g;

    return $text;
}
