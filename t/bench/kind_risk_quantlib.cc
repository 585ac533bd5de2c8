
/*
 * The job of t/bench/kind_risk.c, 8 assets and 32 options valued anew at the
 * horizon, with QuantLib's paths and formula; ns a path, CPU time, median.
 *
 *     c++ -O3 -std=c++17 t/bench/kind_risk_quantlib.cc -lQuantLib \
 *         -o /tmp/kind_risk_quantlib
 *
 * Debian: libquantlib0-dev.
 */

#include <ql/quantlib.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <vector>

using namespace QuantLib;


static const Size  assets = 8;
static const Size  options = 32;
static const Size  paths = 4096;
static const int   repeats = 7;


static double
now()
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


int
main()
{
    const Time    horizon = 10.0 / 252.0;
    Date          today(1, January, 2024);
    DayCounter    days = Actual365Fixed();

    Settings::instance().evaluationDate() = today;

    Handle<YieldTermStructure>  rate(
        ext::make_shared<FlatForward>(today, 0.02, days));
    Handle<YieldTermStructure>  dividend(
        ext::make_shared<FlatForward>(today, 0.0, days));

    std::vector<ext::shared_ptr<StochasticProcess1D> >  processes;
    Matrix  correlation(assets, assets, 0.3);

    for (Size i = 0; i < assets; i++) {
        Handle<Quote>  spot(ext::make_shared<SimpleQuote>(100.0));
        Handle<BlackVolTermStructure>  vol(
            ext::make_shared<BlackConstantVol>(today, NullCalendar(),
                                               0.15 + 0.03 * i, days));

        processes.push_back(ext::make_shared<BlackScholesMertonProcess>(
                                spot, dividend, rate, vol));
        correlation[i][i] = 1.0;
    }

    auto  process = ext::make_shared<StochasticProcessArray>(processes,
                                                             correlation);

    typedef PseudoRandom::rsg_type  random_t;

    MultiPathGenerator<random_t>  generator(process, TimeGrid(horizon, 1),
        PseudoRandom::make_sequence_generator(assets, 42), false);

    double               sum = 0.0;
    std::vector<double>  times;

    for (int r = 0; r < repeats; r++) {
        double  t = now();

        for (Size p = 0; p < paths; p++) {
            const MultiPath  &path = generator.next().value;

            for (Size i = 0; i < options; i++) {
                Time    left = 0.1 + i % 5 * 0.2 - horizon;
                double  discount = std::exp(-0.02 * left);
                double  s = path[i % assets].back();
                double  quantity = (i % 3) ? -1.0 - i % 4 : 2.0;

                sum += quantity * blackFormula(
                    i % 2 ? Option::Call : Option::Put, 80.0 + i % 9 * 5.0,
                    s / discount,
                    (0.15 + 0.03 * (i % assets)) * std::sqrt(left), discount);
            }
        }

        times.push_back((now() - t) / paths);
    }

    std::sort(times.begin(), times.end());
    std::printf("a path, 8 assets and 32 options, QuantLib %s: %.0f ns\n",
                QL_VERSION, times[repeats / 2]);

    return sum == 42.0;
}
