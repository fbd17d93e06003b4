//! The field: five log files in a folder, each with its writer and its rotator.
//!
//! Takes the settings and a pace, gives at the end what happened to the lines of each file.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use crate::{
    history::History,
    rotator::{Log, Pace, Rotator},
    settings::Settings,
    writer::{self, Pen},
};

/// How many log files there are.
pub(crate) const FILES: usize = 5;

/// Writers and rotators at work.
pub(crate) struct Field {
    /// Dropped when all have to stop.
    stops: Vec<SyncSender<()>>,
    writers: Vec<JoinHandle<()>>,
    rotators: Vec<JoinHandle<Rotator>>,
}

impl Field {
    /// Starts them all in `folder`; times count from `start`.
    pub(crate) fn start(folder: &Path, settings: &Settings, pace: Pace, start: Instant) -> Self {
        let mut field = Self { stops: Vec::new(), writers: Vec::new(), rotators: Vec::new() };
        let mut random = fastrand::Rng::with_seed(settings.seed);
        for number in 0..FILES {
            let path = folder.join(format!("x{number}.log"));
            let pen = Arc::new(Pen::new(number, path.clone(), random.fork()));
            let mut rotator = Rotator {
                number,
                path,
                pen: Arc::clone(&pen),
                rotations: settings.rotations,
                pace,
                start,
                random: random.fork(),
                log: Log::default(),
            };
            let bytes_s = settings.mb_s * 1e6 / FILES as f64;
            let (of_writer, stop) = sync_channel(0);
            let choices = random.fork();
            field.writers.push(thread::spawn(move || writer::write(&pen, bytes_s, &stop, choices)));
            let (of_rotator, stop) = sync_channel(0);
            field.rotators.push(thread::spawn(move || {
                rotator.run(&stop);
                rotator
            }));
            field.stops.extend([of_writer, of_rotator]);
        }
        field
    }

    /// Stops them; lines that were begun are completed.
    pub(crate) fn stop(self) -> Vec<History> {
        drop(self.stops);
        for writer in self.writers {
            writer.join().expect("no panic of a writer");
        }
        let rotators =
            self.rotators.into_iter().map(|rotator| rotator.join().expect("no panic of a rotator"));
        rotators.map(Rotator::finish).collect()
    }
}
