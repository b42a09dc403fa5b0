/** The places of workers: who gets which, who leaves first, and how a start that comes to nothing is told. */

import { describe, expect, it } from 'vitest';
import { WorkerPlaces } from '../../../cli/launch/worker-places.ts';

describe('places of workers', () => {
  it('are given away again, the lowest first', () => {
    const places = new WorkerPlaces();
    expect([places.take('aggregated'), places.take('aggregated'), places.take('prefill')]).toEqual([0, 1, 2]);
    places.left(1);
    places.left(0);
    expect([places.take('decode'), places.take('decode'), places.take('decode')]).toEqual([0, 1, 3]);
  });

  it('list who stays in the order of their coming, whatever their numbers', () => {
    const places = new WorkerPlaces();
    const first = places.take('aggregated');
    const second = places.take('aggregated');
    places.take('prefill');
    places.left(first);
    expect(places.take('aggregated')).toBe(first);
    expect(places.staying('aggregated')).toEqual([second, first]);
    expect(places.leaves(first)).toBe(true);
    expect(places.leaves(first)).toBe(false);
    expect(places.staying('aggregated')).toEqual([second]);
  });

  it('tell how a start ends: served, failed, or stopped before', async () => {
    const places = new WorkerPlaces();
    const [serves, fails, leaves, dies] = Array.from({ length: 4 }, () => places.take('decode'));
    const outcomes = [serves, fails, leaves, dies].map((place) =>
      places.started(place!).then(
        () => 'served',
        (error: Error) => error.message,
      ),
    );
    places.serves(serves!);
    places.fails(fails!, 'no port is free');
    places.leaves(leaves!);
    places.left(dies!);
    expect(await Promise.all(outcomes)).toEqual([
      'served',
      'no port is free',
      'the worker was stopped before it served',
      'the worker ended before it served',
    ]);
  });

  it('stay served through restarts, and a worker that leaves does not serve again', async () => {
    const places = new WorkerPlaces();
    const place = places.take('aggregated');
    places.serves(place);
    places.fails(place, 'it died and is started again');
    await places.started(place);
    places.leaves(place);
    places.serves(place);
    expect(places.staying('aggregated')).toEqual([]);
  });
});
