using System.Runtime.InteropServices;

namespace Windtunnel.Training;

/// <summary>
/// Turns SIGINT, SIGTERM and SIGUSR1 into a wish that the trainer fulfils after the step it is in: save, then end with an exit
/// code that says why (docs/formats.md). Signals that come again while it saves are absorbed.
/// </summary>
public sealed class StopSignal : IDisposable
{
    private const int UserSignal1 = 10, UserSignal1OnMac = 30;
    private readonly List<PosixSignalRegistration> _registrations = [];
    private volatile int _exitCode;

    /// <summary>The exit code that the first signal asks for; null while none has come.</summary>
    public int? ExitCode => _exitCode == 0 ? null : _exitCode;

    /// <summary>Listens to the process's signals.</summary>
    public static StopSignal Listen()
    {
        StopSignal stop = new();
        stop.On(PosixSignal.SIGINT, 130);
        stop.On(PosixSignal.SIGTERM, 143);
        if (!OperatingSystem.IsWindows())
        {
            stop.On((PosixSignal)(OperatingSystem.IsMacOS() ? UserSignal1OnMac : UserSignal1), 75);
        }

        return stop;
    }

    /// <summary>Asks for a stop from within the process.</summary>
    public void Request(int exitCode) => Interlocked.CompareExchange(ref _exitCode, exitCode, 0);

    /// <inheritdoc/>
    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());

    private void On(PosixSignal signal, int exitCode) => _registrations.Add(PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        Request(exitCode);
    }));
}
