//! `potluck demo`: a tracker, a seeder, six leechers and a free rider in one process, over real sockets and real
//! files.

mod faces;
mod fare;
mod near;
mod result;
mod swarm;

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use self::{
    faces::Face,
    swarm::{Plan, Swarm},
};
use super::{
    args::DemoArgs,
    exit::{Exit, Failure, Outcome},
    output::Output,
    transfer::{Signal, Signals, feed::Report},
    web::runtime,
};
use crate::{
    io::terminal::Request,
    model::demo::{Demo, Phase},
    units::Seconds,
    update::demo::{Message, update},
};

/// How often a frame is drawn and the speed is sampled.
const FRAME_INTERVAL: Duration = Duration::from_millis(250);
/// Reports taken in before a frame may be due again.
const REPORTS_PER_WAKE_MAX: usize = 256;
/// How many times the expected duration the demo may take before something is wrong.
const PATIENCE: u32 = 5;
/// How long the last frame stands.
const LAST_FRAME: Duration = Duration::from_millis(1_500);

/// Runs `potluck demo`.
pub fn run(args: &DemoArgs, output: &Output) -> Outcome<Exit> {
    let runtime = runtime()?;
    let exit = runtime.block_on(play(args, output));
    runtime.shutdown_background();
    exit
}

async fn play(args: &DemoArgs, output: &Output) -> Outcome<Exit> {
    let mut signals = Signals::of_a_screen()?;
    let plan = Plan::new(args.size, args.fast);
    let mut demo = plan.demo();
    let mut face = Face::open(args, output)?;
    face.show(&demo)?;
    // The folder lives in the swarm: whatever happens from here on, it is removed with it.
    let mut swarm = Swarm::prepare(&plan)?;
    let ended = share(&plan, &mut demo, &mut swarm, &mut face, &mut signals).await;
    update(&mut demo, Message::Phase(Phase::Verifying));
    let shown = face.show(&demo);
    swarm.stop().await;
    match ended? {
        End::Complete => {}
        End::Quit(exit) => {
            let what = format!("stopped after {} at your request", Seconds(demo.elapsed as u64));
            return Err(Failure::new(exit, "demo", what, "nothing is left of it"));
        }
    }
    shown?;
    let verdict = result::verify(&demo, &swarm)?;
    let sentence = verdict.sentence(&demo);
    update(&mut demo, Message::Phase(Phase::Over(sentence)));
    face.show(&demo)?;
    face.linger(LAST_FRAME, &mut signals).await;
    face.close();
    verdict.print(&demo, output)?;
    Ok(verdict.exit())
}

/// Why the sharing ended.
enum End {
    /// Every leecher has everything.
    Complete,
    /// Somebody wants it to end.
    Quit(Exit),
}

async fn share(
    plan: &Plan,
    demo: &mut Demo,
    swarm: &mut Swarm,
    face: &mut Face<'_>,
    signals: &mut Signals,
) -> Outcome<End> {
    let started = Instant::now();
    let mut reports = swarm.start(plan).await?;
    demo.tracker = swarm.tracker_url();
    update(demo, Message::Phase(Phase::Sharing));
    let mut frames = interval(FRAME_INTERVAL);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let patience = plan.expected * PATIENCE;
    update(demo, Message::Note(plan.time_lapse()));
    while !demo.leechers_are_complete() {
        tokio::select! {
            Some(report) = reports.recv() => take(demo, report, &mut reports, face)?,
            _ = frames.tick() => {
                update(demo, Message::Tick(started.elapsed().as_secs_f64()));
                face.show(demo)?;
                if started.elapsed() > patience {
                    return Err(too_long(demo, patience));
                }
            }
            request = face.next_request() => match request {
                Request::Quit => return Ok(End::Quit(Exit::Stopped)),
                Request::Redraw => face.show(demo)?,
                Request::Suspend => face.suspend(demo)?,
            },
            signal = signals.next_or_suspend() => match signal {
                None => face.suspend(demo)?,
                Some(Signal::Interrupt) => return Ok(End::Quit(Exit::Stopped)),
                Some(Signal::Terminate) => return Ok(End::Quit(Exit::Terminated)),
            },
        }
        Swarm::check(demo)?;
    }
    update(demo, Message::Tick(started.elapsed().as_secs_f64()));
    Ok(End::Complete)
}

/// Takes in what has been reported so far, within bounds.
fn take(demo: &mut Demo, first: Report, more: &mut mpsc::Receiver<Report>, face: &mut Face<'_>) -> Outcome {
    let mut next = Some(first);
    for _ in 0..REPORTS_PER_WAKE_MAX {
        let Some(report) = next else { break };
        match report {
            Report::Snapshot(number, snapshot) => update(demo, Message::Snapshot(number, snapshot)),
            Report::Event(number, event) => {
                face.event(demo, number, &event)?;
                update(demo, Message::Happened(number, event.kind));
            }
        }
        next = more.try_recv().ok();
    }
    Ok(())
}

fn too_long(demo: &Demo, patience: Duration) -> Failure {
    let complete = demo.members.iter().filter(|member| member.complete_at.is_some()).count();
    let what = format!("{complete} leechers are complete after {} s", patience.as_secs());
    Failure::new(Exit::TimedOut, "demo", what, "the machine may be too busy; try again, or a smaller --size")
}
