import { Component, type ErrorInfo, type ReactNode } from "react";
import { Problem } from "./problem.tsx";

interface ErrorBoundaryProps {
  title: string;
  /** What a person can do about it. */
  advice: string;
  /** Of what is shown: when it changes, what broke is tried again. */
  subject: string;
  children: ReactNode;
}

interface ErrorBoundaryState {
  error: Error | undefined;
  subject: string;
}

/** What breaks inside is told in its place; all around it goes on. */
export class ErrorBoundary extends Component<ErrorBoundaryProps, ErrorBoundaryState> {
  override state: ErrorBoundaryState = { error: undefined, subject: this.props.subject };

  static getDerivedStateFromError(error: Error): Partial<ErrorBoundaryState> {
    return { error };
  }

  static getDerivedStateFromProps(
    { subject }: ErrorBoundaryProps,
    state: ErrorBoundaryState,
  ): ErrorBoundaryState | null {
    return subject === state.subject ? null : { error: undefined, subject };
  }

  override componentDidCatch(error: Error, info: ErrorInfo): void {
    console.error(error, info.componentStack);
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    return <Problem title={this.props.title} message={`${error.message}. ${this.props.advice}`} />;
  }
}
