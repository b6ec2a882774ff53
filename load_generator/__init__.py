"""Offers an HTTP service so many requests a second, whether it keeps up or not.

An open loop: when each request is due is known before the first one is sent, and no answer is
waited for in between. Latency counts from the time a request was due, so a service that
stalls cannot hide it by slowing its client down, and neither can a client that is late: how
late it sent is reported beside, and where it was too late the run is INVALID.

    dicebox load --rate 500 --seconds 10 --image picture.png
    python -m load_generator --url http://127.0.0.1:8003 --rate 500 --seconds 10 --image a.png
"""
