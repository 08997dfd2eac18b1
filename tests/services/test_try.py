def test_it(desk):
    import time

    t = time.perf_counter()
    d = desk.place(desk.order())
    desk.quote("100")
    desk.sweep()
    print(desk.guard.state("leader"), desk.rows("select * from permits"), time.perf_counter() - t)


def test_two(make_desk):
    import time

    t = time.perf_counter()
    make_desk()
    print(time.perf_counter() - t)
    t = time.perf_counter()
    d = make_desk()
    print(time.perf_counter() - t)
    t = time.perf_counter()
    d.sweep()
    print(time.perf_counter() - t)
    t = time.perf_counter()
    d.hold(10)
    print(time.perf_counter() - t)
    print(d.sweep())
