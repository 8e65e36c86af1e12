"""Trains: the charge of a window by the tables of a response that its steps have, each on a lattice in time.

A train has the sites that the ticks of its window see through the table's lags, but for `lookback` ticks at the
window's begin and `settle` at its end.
"""

from lartpc.kernels.runtime.launch import device, kernel


@device
def sites_of(i, t, window_tick, window_first, per_tick, first_lag, last_lag, lookback, settle):
    """First site of the train of table t in window i, and how many they are."""
    begin = window_tick[i] + lookback
    end = window_tick[i] + window_first[i + 1] - window_first[i] - settle
    first = begin * per_tick[t] - first_lag[t]
    return first, end * per_tick[t] - last_lag[t] - first


@kernel("count", "table_source", light=True)
def count_trains(
    i,
    window_pair,
    window_tick,
    window_first,
    pair_step,
    step_table,
    per_tick,
    rank,
    first_lag,
    last_lag,
    lookback,
    settle,
    table_source,
    count,
):
    """Number of trains of window i, count[i], and of the values of all, rank a site, count[n_windows + i].

    table_source (n_windows, n_tables): where the train of a table begins among these values, -1 where there is none.
    """
    tables = table_source.shape[1]
    for t in range(tables):
        table_source[i, t] = -1
    for p in range(window_pair[i], window_pair[i + 1]):
        table_source[i, step_table[pair_step[p]]] = 0
    n = 0
    values = 0
    for t in range(tables):
        if table_source[i, t] == 0:
            _, sites = sites_of(i, t, window_tick, window_first, per_tick, first_lag, last_lag, lookback, settle)
            table_source[i, t] = values
            values += sites * rank[t]
            n += 1
    count[i] = n
    count[table_source.shape[0] + i] = values


@kernel("train_table", "train_site", "train_sites", "train_source", "pair_source", light=True, lanes=32)
def trains(
    i,
    lane,
    lanes,
    window_pair,
    window_tick,
    window_first,
    pair_step,
    step_table,
    site_t,
    per_tick,
    rank,
    first_lag,
    last_lag,
    lookback,
    settle,
    table_source,
    window_train,
    window_source,
    train_table,
    train_site,
    train_sites,
    train_source,
    pair_source,
):
    """The trains of window i, from window_train[i] on, as in `convolve`, and the values of its pairs, as in `deposit`.

    window_source (n_windows + 1,): where the values of a window begin, counted from anywhere.
    """
    source = window_source[i] - window_source[0]
    c = window_train[i]
    for t in range(table_source.shape[1] if lane == 0 else 0):
        if table_source[i, t] >= 0:
            train_table[c] = t
            train_source[c] = source + table_source[i, t]
            train_site[c], train_sites[c] = sites_of(
                i, t, window_tick, window_first, per_tick, first_lag, last_lag, lookback, settle
            )
            c += 1
    for p in range(window_pair[i] + lane, window_pair[i + 1], lanes):
        step = pair_step[p]
        t = step_table[step]
        first, _ = sites_of(i, t, window_tick, window_first, per_tick, first_lag, last_lag, lookback, settle)
        pair_source[p] = source + table_source[i, t] + (site_t[step] - first) * rank[t]
